import type { Traffic } from '@kiln/contract/records/traffic';
import type { Cluster, Member } from '@kiln/testing/cluster';
import type { Call } from '../support/steady-load.js';

interface Change {
  traffic: Traffic;
  begunAt: number;
  doneAt: number;
}

/** Changes a function's traffic and remembers when each change began and when it was acknowledged. */
export class TrafficChanges {
  private readonly all: Change[] = [];

  constructor(
    private readonly cluster: Cluster,
    private readonly name: string,
  ) {}

  /** Traffic after the last change, or the one before that. */
  traffic(back = 1): Traffic {
    return this.all.at(-back)?.traffic ?? [];
  }

  async during<T>(change: () => Promise<T>): Promise<T> {
    const begunAt = performance.now();
    const result = await change();
    const doneAt = performance.now();
    this.all.push({ traffic: await this.cluster.client.traffic.get(this.name), begunAt, doneAt });
    return result;
  }

  async put(traffic: Traffic, router: Member = this.cluster.router): Promise<void> {
    await this.during(() => this.cluster.clientOf(router).traffic.put(this.name, traffic));
  }

  /** For how long after a change was acknowledged calls were still sent that met a version without traffic; the longest, in ms. */
  longestLag(calls: readonly Call[]): number {
    // One by one: hundreds of thousands of calls are more than one function takes as arguments.
    return calls.reduce((longest, call) => (call.fault === undefined ? Math.max(longest, this.lagOf(call)) : longest), 0);
  }

  private lagOf({ sentAt, endedAt, version }: Call): number {
    const first = this.all.findLastIndex(({ doneAt }) => doneAt <= sentAt);
    // Any state from the one before the call to the last one that was begun while it ran may have been in effect for it.
    const possible = this.all.filter(({ begunAt }, i) => i >= first && begunAt <= endedAt);
    if (possible.some(({ traffic }) => has(traffic, version))) return 0;
    return sentAt - (this.all[first]?.doneAt ?? sentAt);
  }
}

export function has(traffic: Traffic, version: number): boolean {
  return traffic.some((share) => share.version === version && share.weight > 0);
}
