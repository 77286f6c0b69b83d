import { readFailure } from '@kiln/contract/api/problem';
import { KilnError } from '@kiln/contract/errors';
import type { VersionRecord } from '@kiln/contract/records/records';
import type { FunctionStore } from '@kiln/state/functions/function-store';
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
  functions: Pick<FunctionStore, 'version' | 'proveOn' | 'markFailed' | 'withdraw'>;
  nodes: Pick<NodeTable, 'preference'>;
  announcer: Pick<Announcer, 'functionChanged'>;
  catalog: Pick<Catalog, 'changed'>;
}

export interface AwaitedProof {
  name: string;
  version: number;
  boundMs: number;
  signal: AbortSignal;
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
      const version = await this.versionIfThere();
      // If the caller has left, no traffic moves, even if the first read finds the version ready.
      signal.throwIfAborted();
      if (version?.state === 'ready') return;
      if (version?.state === 'failed') throw readFailure(version.failure ?? { code: 'start_failed', detail: 'it did not start' });
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
      if (next === undefined) await functions.markFailed(name, number, this.failure(version));
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

  private failure({ refusal }: VersionRecord): { code: string; detail: string } {
    return { code: refusal?.code ?? 'start_failed', detail: refusal?.detail ?? 'no node can start it' };
  }

  /** It must not stay pending for ever; and it is not failed, for nobody knows. */
  private async giveUp(): Promise<void> {
    const { name, version, boundMs } = this.awaited;
    const left = await this.parts.functions.withdraw(name, version);
    await this.parts.announcer.functionChanged(name);
    if (left !== 'withdrawn' && left.state === 'ready') return;
    if (left !== 'withdrawn') throw readFailure(left.failure ?? { code: 'start_failed', detail: 'it did not start' });
    const why = this.last === undefined ? 'no node reported on it' : `${this.last.node} said last: ${this.last.detail}`;
    throw new KilnError('no_capacity', `no node could start version ${version} within ${Math.round(boundMs / 1000)} s; ${why}`, {
      fix: 'what served before serves on: see kiln nodes ls and kiln doctor, and deploy again',
    });
  }

  /** Undefined while the store is away: the wait goes on to its bound. @throws KilnError when the function was removed */
  private async versionIfThere(): Promise<VersionRecord | undefined> {
    const { name, version: number } = this.awaited;
    try {
      const version = await this.parts.functions.version(name, number);
      if (version === undefined) throw new KilnError('conflict', `"${name}" was removed while version ${number} was deployed`);
      return version;
    } catch (error) {
      if (error instanceof KilnError && error.code === 'unavailable') return undefined;
      throw error;
    }
  }
}
