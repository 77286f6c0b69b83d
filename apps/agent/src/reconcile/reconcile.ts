import { KilnError } from '@kiln/contract/errors';
import type { Pools } from '@kiln/instances/pool/pools';
import type { Homes } from './homes.js';
import { type Action, plan } from './plan.js';
import { Proofs, type ProofsParts } from './proofs.js';
import type { Desired, VersionTable } from './version-table.js';

const EVERY_MS = 2000;
/** A store that did not answer for a moment is no news. */
const SAID_AFTER_MS = 3000;

export interface ReconcileParts extends Omit<ProofsParts, 'settled'> {
  node: string;
  pools: Pools;
  table: VersionTable;
  homes: Homes;
  /** Of the versions that serve: kept at hand for when the store is away. */
  secrets: { keep(desired: readonly Desired[]): Promise<void> };
  /** Membership as the store has it; updates `homes`. */
  readNodes(): Promise<void>;
  /** The store answers, and what is not well with it was said. */
  storeInTrouble(): boolean;
}

/** Makes this node as the store says: every 2 s, and at once when somebody says that something changed. */
export class Reconciler {
  private readonly proofs: Proofs;
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> | undefined;
  private again = false;
  private stopped = false;
  private readonly outage: Outage;

  constructor(private readonly parts: ReconcileParts) {
    this.outage = new Outage(parts.onTrouble);
    this.proofs = new Proofs({ ...parts, settled: () => this.kick() });
  }

  start(): void {
    this.timer = setInterval(() => this.kick(), EVERY_MS);
    this.kick();
  }

  /** Requests a pass; if one is running, runs exactly one more. */
  kick(): void {
    if (this.stopped) return;
    if (this.running !== undefined) {
      this.again = true;
      return;
    }
    this.running = this.pass().finally(() => {
      this.running = undefined;
      if (!this.again) return;
      this.again = false;
      this.kick();
    });
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearInterval(this.timer);
    await this.running;
  }

  private async pass(): Promise<void> {
    const { table, pools, homes, secrets, node, onTrouble } = this.parts;
    try {
      const desired = await table.load();
      await secrets.keep(desired);
      await this.parts.readNodes();
      const actual = [...pools.all()].map(({ version, keepPolicy }) => ({
        function: version.function,
        version: version.version,
        keepPolicy,
      }));
      const actions = plan({ node, desired, actual, isHome: homes.isHome });
      this.proofs.update(actions.flatMap((action) => (action.kind === 'prove' ? [action.version] : [])));
      for (const action of actions) this.apply(action);
      this.outage.over();
    } catch (error) {
      if (!(error instanceof KilnError) || error.code !== 'unavailable') onTrouble(`reconciling failed: ${String(error)}`);
      else if (!this.parts.storeInTrouble()) this.outage.goesOn(error.message);
    }
  }

  private apply(action: Action): void {
    const { pools } = this.parts;
    switch (action.kind) {
      case 'keep': {
        const pool = pools.of(action.version);
        pool.keepAs(action.keepPolicy);
        pool.keep(action.minimum);
        // Versions pile up with every deployment: what nobody calls any more is forgotten until somebody does.
        if (action.keepPolicy === 'retired' && pool.empty)
          pools.remove(pool, new KilnError('version_not_found', 'the version is not in use'));
        break;
      }
      case 'remove': {
        const pool = pools.find(action.function, action.version);
        const gone = new KilnError('version_not_found', `version ${action.version} of "${action.function}" was removed`);
        if (pool !== undefined) pools.remove(pool, gone);
      }
    }
  }
}

/** Says that the store can't be read where that lasts, and then that it can be read again. */
class Outage {
  private since: number | undefined;
  private said = false;

  constructor(private readonly say: (message: string) => void) {}

  goesOn(reason: string): void {
    this.since ??= performance.now();
    if (this.said || performance.now() - this.since < SAID_AFTER_MS) return;
    this.said = true;
    this.say(`the store can not be read, going on with what is known: ${reason}`);
  }

  over(): void {
    if (this.said) this.say('the store can be read again');
    this.said = false;
    this.since = undefined;
  }
}
