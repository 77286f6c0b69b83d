import { setTimeout as delay } from 'node:timers/promises';
import { KilnError } from '@kiln/contract/errors';
import type { Pools } from '@kiln/instances/pool/pools';
import type { Heartbeat } from './heartbeat.js';
import type { NodeLifecycle } from './lifecycle.js';

/** For instances to be removed once nothing runs in them any more. */
const REMOVAL_MS = 20_000;
/** For the last word to the store. */
const STORE_MS = 1500;
const POLL_MS = 20;

/** The door for requests. */
interface Door {
  /** Lets what runs end; after `timeoutMs` it is cut off. Ends early where the drain is taken back. */
  finish(timeoutMs: number, takenBack: AbortSignal): Promise<void>;
}

export interface DrainParts {
  lifecycle: NodeLifecycle;
  heartbeat: Heartbeat;
  listener: Door;
  pools: Pools;
  /** For what runs to end by itself. */
  timeoutMs: number;
  /** Tells routers to look again. */
  announce(): void;
  /** Takes this node out of the table. */
  leaveTable(): Promise<void>;
  onTrouble(message: string): void;
}

/** How a node stops to take work, and begins again. */
export class NodeDrain {
  private running: { finished: Promise<void>; stop: AbortController } | undefined;

  constructor(private readonly parts: DrainParts) {}

  /** Takes no new work, finishes what runs, removes the instances. The node stays a member, marked as draining. */
  drain(): Promise<void> {
    const { lifecycle } = this.parts;
    if (lifecycle.takesWork) lifecycle.move('draining');
    return this.finish();
  }

  /** Takes work again, also where the drain is not at its end. @throws KilnError `conflict` where the node leaves */
  async resume(): Promise<void> {
    const { lifecycle, pools, heartbeat, announce } = this.parts;
    if (lifecycle.takesWork) return;
    if (!lifecycle.can('serving'))
      throw new KilnError('conflict', `node "${pools.nodeId}" leaves the cluster`, { fix: 'start its agent again' });
    this.running?.stop.abort();
    await this.running?.finished;
    // Whoever asked beside this one was as right.
    if (lifecycle.phase !== 'draining') return;
    this.running = undefined;
    pools.reopen();
    lifecycle.move('serving');
    await this.sendHeartbeat(heartbeat);
    announce();
  }

  /** The same as a drain, and the node is no member any more from the first moment on. */
  async leave(): Promise<void> {
    const { lifecycle, heartbeat, onTrouble } = this.parts;
    lifecycle.move('leaving');
    const finished = this.finish();
    await heartbeat.stop();
    const left = await this.tryToLeave();
    await finished;
    // The store may have been away for a moment only.
    if (!left && !(await this.tryToLeave())) onTrouble('the store does not know that this node left');
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
    const { heartbeat, listener, pools, announce, timeoutMs, onTrouble } = this.parts;
    pools.close();
    const finished = listener.finish(timeoutMs, stop);
    await this.sendHeartbeat(heartbeat);
    announce();
    await finished;
    if (stop.aborted) return;
    pools.cut();
    const deadline = performance.now() + REMOVAL_MS;
    while (pools.living.size > 0 && performance.now() < deadline && !stop.aborted) await delay(POLL_MS);
    if (pools.living.size > 0 && !stop.aborted) onTrouble(`${pools.living.size} instances were still there at the end of the drain`);
  }

  private async sendHeartbeat(heartbeat: Heartbeat): Promise<void> {
    await Promise.race([heartbeat.send(), delay(STORE_MS)]);
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
