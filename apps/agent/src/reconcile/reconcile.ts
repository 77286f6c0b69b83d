import { KilnError } from '@kiln/contract/errors';
import type { Pools } from '@kiln/instances/pool/pools';
import { SingleFlight } from '@kiln/state/store/single-flight';
import type { Homes } from './homes.js';
import { type Action, plan } from './plan.js';
import { Proofs, type ProofsParts } from './proofs.js';
import type { Desired, VersionTable } from './version-table.js';

const EVERY_MS = 2000;
/** A shorter outage of the store is not logged. */
const LOGGED_AFTER_MS = 3000;

export interface ReconcileParts extends Omit<ProofsParts, 'settled'> {
  node: string;
  pools: Pools;
  table: VersionTable;
  homes: Homes;
  /** Keeps the secrets of serving versions in memory, for starts while the store is away. */
  secrets: { keep(desired: readonly Desired[]): Promise<void> };
  /** Membership as the store has it; updates `homes`. */
  readNodes(): Promise<void>;
  /** True where the store answers with a fault that is logged already. */
  storeInTrouble(): boolean;
}

/** Makes the state of this node equal to the desired state in the store: every 2 s, and at once after an event. */
export class Reconciler {
  private readonly proofs: Proofs;
  private timer: NodeJS.Timeout | undefined;
  private readonly passes = new SingleFlight(() => this.pass());
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
    void this.passes.run();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearInterval(this.timer);
    await this.passes.run();
  }

  private async pass(): Promise<void> {
    if (this.stopped) return;
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
      if (!(error instanceof KilnError) || error.code !== 'unavailable') onTrouble('reconcile pass failed', { error: String(error) });
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
        // Every deployment adds a version: the pool of a version that nobody calls is removed until somebody calls it.
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

/** Logs an outage of the store that lasts longer than 3 s, and its end. */
class Outage {
  private since: number | undefined;
  private logged = false;

  constructor(private readonly say: (message: string, keys?: object) => void) {}

  goesOn(reason: string): void {
    this.since ??= performance.now();
    if (this.logged || performance.now() - this.since < LOGGED_AFTER_MS) return;
    this.logged = true;
    this.say('store can not be read, using the last known state', { reason });
  }

  over(): void {
    if (this.logged) this.say('store can be read again');
    this.logged = false;
    this.since = undefined;
  }
}
