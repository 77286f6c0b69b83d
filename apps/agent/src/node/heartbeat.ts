import { randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import type { NodeRecord } from '@kiln/contract/records/records';
import { WIRE } from '@kiln/contract/wire/versions';
import type { Pools } from '@kiln/instances/pool/pools';
import type { NodeLifecycle } from './lifecycle.js';

const EVERY_MS = 1000;

export interface HeartbeatParts {
  lifecycle: NodeLifecycle;
  pools: Pools;
  warnings(): readonly string[];
  /** What never changes; `masterKeys` are their ids. */
  fixed: Pick<NodeRecord, 'dataUrl' | 'controlUrl' | 'weight' | 'masterKeys'>;
  /** @throws KilnError `unavailable` */
  send(record: NodeRecord): Promise<void>;
  /** Called after each stored heartbeat: writes counts that belong to it. */
  sent(): Promise<void>;
  /** Called after the first stored heartbeat. */
  joined(): void;
}

/** Writes the state of this node to the store once a second: that it lives, its load, and its warnings. */
export class Heartbeat {
  private readonly epoch = randomBytes(8).toString('hex');
  private readonly startedAt = new Date().toISOString();
  private beat = 0;
  private sending: Promise<void> | undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly parts: HeartbeatParts) {}

  start(): void {
    this.timer = setInterval(() => void this.send(), EVERY_MS);
    void this.send();
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    await this.sending;
  }

  /** Sends one now; one at a time. Never rejects: the next heartbeat replaces a lost one. */
  send(): Promise<void> {
    this.sending ??= this.sendOnce().finally(() => {
      this.sending = undefined;
    });
    return this.sending;
  }

  record(): NodeRecord {
    const { lifecycle, pools, warnings, fixed } = this.parts;
    return {
      id: pools.nodeId,
      ...fixed,
      cores: availableParallelism(),
      memory: pools.capacity.total.memory,
      memoryPromised: pools.capacity.memoryPromised,
      load: pools.load,
      instances: pools.census.existing,
      draining: lifecycle.phase === 'draining' || lifecycle.phase === 'leaving',
      epoch: this.epoch,
      beat: this.beat,
      startedAt: this.startedAt,
      warnings: [...warnings()],
      tellsWaiting: true,
      wire: [...WIRE],
    };
  }

  private async sendOnce(): Promise<void> {
    this.beat++;
    try {
      await this.parts.send(this.record());
      await this.parts.sent();
    } catch {
      // The store is away: the reconciler logs it, and routers use their last known state.
      return;
    }
    const { lifecycle, joined } = this.parts;
    if (lifecycle.phase !== 'joining') return;
    lifecycle.move('serving');
    joined();
  }
}
