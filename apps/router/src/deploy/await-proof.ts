import { readFailure } from '@kiln/contract/api/problem';
import { KilnError } from '@kiln/contract/errors';
import type { VersionRecord } from '@kiln/contract/records/records';
import type { FunctionStore } from '@kiln/state/functions/function-store';
import { ifThere } from '@kiln/state/store/store';
import type { NodeTable } from '../placement/node-table.js';
import type { Announcer } from '../view/announcer.js';
import type { Catalog } from '../view/catalog.js';
import { nextProvingNode } from './next-proving-node.js';

/** The node that has proved a version announces it. This is for an announcement that is lost, and for nodes that are. */
const LOOK_AGAIN_MS = 1000;
/** A node that is not in use for so long is lost. A heartbeat that is late is not enough. */
const LOST_MS = 3000;
/** All have refused: so much later they are asked again, one after the other. */
const ROUND_MS = 3000;

export interface ProofParts {
  functions: Pick<FunctionStore, 'version' | 'proveOn' | 'markFailed'>;
  nodes: Pick<NodeTable, 'preference'>;
  announcer: Pick<Announcer, 'functionChanged'>;
  catalog: Pick<Catalog, 'changed'>;
}

export interface AwaitedProof {
  name: string;
  version: number;
  boundMs: number;
  signal: AbortSignal;
  /** Takes the version out. Gives what is left of it. */
  withdraw(): ReturnType<FunctionStore['withdraw']>;
}

/** Waits until a node has said how a version's first instance went. Where one cannot try, or says nothing, another is asked. */
export class PendingProof {
  private readonly unable = new Set<string>();
  private readonly refused = new Set<string>();
  private roundUntil = 0;
  private last: NonNullable<VersionRecord['refusal']> | undefined;
  private readonly seenInUse = new Map<string, number>();

  constructor(
    private readonly parts: ProofParts,
    private readonly awaited: AwaitedProof,
  ) {}

  /** @throws KilnError with what the node said; `no_capacity` where none could try in time */
  async ready(): Promise<void> {
    const { boundMs, signal } = this.awaited;
    const deadline = performance.now() + boundMs;
    for (;;) {
      // Waits from before the read, so that a change right after the read is not missed.
      const changed = this.nextChange(deadline);
      const version = await ifThere(this.versionOrGone());
      // If the caller has left, no traffic moves, even if the first read finds the version ready.
      signal.throwIfAborted();
      if (version?.state === 'ready') return;
      if (version?.state === 'failed') throw failureOf(version);
      if (version !== undefined) await this.moveOn(version);
      if (performance.now() > deadline) return this.giveUp();
      await changed;
    }
  }

  private nextChange(deadline: number): Promise<void> {
    const { name, signal } = this.awaited;
    const atMost = Math.max(0, Math.min(LOOK_AGAIN_MS, deadline - performance.now()));
    return this.parts.catalog.changed(name, AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(atMost))]));
  }

  private async moveOn(version: VersionRecord): Promise<void> {
    const { functions, announcer } = this.parts;
    const { name, version: number } = this.awaited;
    if (version.refusal?.node === version.provingNode) this.note(version.refusal);
    const next = nextProvingNode({ version, usable: this.usable(), unable: this.unable, refused: this.refused });
    if (next === version.provingNode) return;
    try {
      const { code = 'start_failed', detail = 'no node can start it', fix } = version.refusal ?? {};
      if (next === undefined) await functions.markFailed(name, number, { code, detail, fix });
      else await functions.proveOn(name, number, next);
      await announcer.functionChanged(name);
    } catch (error) {
      // The store is away, or the version was settled at this moment: the next look shows which.
      if (!(error instanceof KilnError)) throw error;
    }
  }

  private note(refusal: NonNullable<VersionRecord['refusal']>): void {
    const now = performance.now();
    if (now > this.roundUntil) this.refused.clear();
    if (!this.refused.has(refusal.node)) this.roundUntil = now + ROUND_MS;
    this.refused.add(refusal.node);
    if (refusal.code === 'start_failed') this.unable.add(refusal.node);
    this.last = refusal;
  }

  private usable(): string[] {
    const now = performance.now();
    for (const { id } of this.parts.nodes.preference(this.awaited.name)) this.seenInUse.set(id, now);
    return [...this.seenInUse].filter(([, seen]) => now - seen < LOST_MS).map(([id]) => id);
  }

  /** It must not stay pending for ever; and it is not failed, for nobody knows. */
  private async giveUp(): Promise<void> {
    const { name, version, boundMs } = this.awaited;
    const left = await this.awaited.withdraw();
    await this.parts.announcer.functionChanged(name);
    if (left !== 'withdrawn' && left.state === 'ready') return;
    if (left !== 'withdrawn') throw failureOf(left);
    const why = this.last === undefined ? 'no node reported on it' : `${this.last.node} said last: ${this.last.detail}`;
    throw new KilnError('no_capacity', `no node could start version ${version} within ${Math.round(boundMs / 1000)} s; ${why}`, {
      fix: 'what served before serves on: see kiln nodes ls and kiln doctor, and deploy again',
    });
  }

  /** @throws KilnError `conflict` when the function was removed; `unavailable`, and the wait goes on to its bound */
  private async versionOrGone(): Promise<VersionRecord> {
    const { name, version: number } = this.awaited;
    const version = await this.parts.functions.version(name, number);
    if (version === undefined) throw new KilnError('conflict', `"${name}" was removed while version ${number} was deployed`);
    return version;
  }
}

function failureOf({ failure }: VersionRecord): KilnError {
  return readFailure(failure ?? { code: 'start_failed', detail: 'it did not start' });
}
