import { setTimeout as delay } from 'node:timers/promises';
import { KilnError } from '@kiln/contract/errors';
import type { Pools } from '@kiln/instances/pool/pools';
import type { Heartbeat } from './heartbeat.js';
import type { NodeLifecycle } from './lifecycle.js';

/** For the removal of instances after their last request. */
const REMOVAL_MS = 20_000;
/** For a heartbeat to the store. */
const STORE_MS = 1500;
const POLL_MS = 20;

export interface DrainParts {
  lifecycle: NodeLifecycle;
  heartbeat: Heartbeat;
  /** Waits for running requests; cuts them off after `timeoutMs`. Ends early where the drain is cancelled. */
  listener: { finish(timeoutMs: number, cancelled: AbortSignal): Promise<void> };
  pools: Pools;
  /** ms for running requests to end by themselves. */
  timeoutMs: number;
  /** Tells routers to refresh. */
  announce(): void;
  /** Removes this node from the table of members. */
  leaveTable(): Promise<void>;
  onTrouble(message: string, keys?: object): void;
}

/** Drains a node, and cancels a drain. */
export class NodeDrain {
  private running: { finished: Promise<void>; stop: AbortController } | undefined;

  constructor(private readonly parts: DrainParts) {}

  /** Takes no new work, finishes what runs, removes the instances. The node stays a member, marked as draining. */
  drain(): Promise<void> {
    const { lifecycle } = this.parts;
    if (lifecycle.takesWork) lifecycle.move('draining');
    return this.finish();
  }

  /** Cancels a drain, also before its end. @throws KilnError `conflict` where the node leaves */
  async resume(): Promise<void> {
    const { lifecycle, pools, announce } = this.parts;
    if (lifecycle.takesWork) return;
    if (!lifecycle.can('serving'))
      throw new KilnError('conflict', `node "${pools.nodeId}" leaves the cluster`, { fix: 'start its agent again' });
    this.running?.stop.abort();
    await this.running?.finished;
    // Another request has cancelled the drain already.
    if (lifecycle.phase !== 'draining') return;
    this.running = undefined;
    pools.reopen();
    lifecycle.move('serving');
    await this.sendHeartbeat();
    announce();
  }

  /** Drains, and leaves the table of members at the start. */
  async leave(): Promise<void> {
    const { lifecycle, heartbeat, onTrouble } = this.parts;
    lifecycle.move('leaving');
    const finished = this.finish();
    await heartbeat.stop();
    const left = await this.tryToLeave();
    await finished;
    // The store may have been away only for a moment.
    if (!left && !(await this.tryToLeave())) onTrouble('the store still lists this node as a member');
    lifecycle.move('gone');
  }

  private finish(): Promise<void> {
    if (this.running === undefined) {
      const stop = new AbortController();
      this.running = { stop, finished: this.run(stop.signal) };
    }
    return this.running.finished;
  }

  private async run(stop: AbortSignal): Promise<void> {
    const { listener, pools, announce, timeoutMs, onTrouble } = this.parts;
    pools.close();
    const finished = listener.finish(timeoutMs, stop);
    await this.sendHeartbeat();
    announce();
    await finished;
    if (stop.aborted) return;
    pools.cut();
    const deadline = performance.now() + REMOVAL_MS;
    while (pools.living.size > 0 && performance.now() < deadline && !stop.aborted) await delay(POLL_MS);
    if (pools.living.size > 0 && !stop.aborted) onTrouble('drain ended with instances left', { instances: pools.living.size });
  }

  private async sendHeartbeat(): Promise<void> {
    await Promise.race([this.parts.heartbeat.send(), delay(STORE_MS)]);
  }

  private async tryToLeave(): Promise<boolean> {
    try {
      await this.parts.leaveTable();
      this.parts.announce();
      return true;
    } catch {
      return false;
    }
  }
}
