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
  dataUrl: string;
  controlUrl: string;
  weight: number;
  /** Ids of its master keys. */
  masterKeys: readonly string[];
  /** @throws KilnError `unavailable` */
  send(record: NodeRecord): Promise<void>;
  /** After a record that got through: counts that are kept with it. */
  sent(): Promise<void>;
  /** The first one of this life got through. */
  joined(): void;
}

/** Says once a second that this node lives, how loaded it is, and what is not as it should be. */
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

  /** Sends one now; one at a time. Never rejects: what does not get through is made up for a second later. */
  send(): Promise<void> {
    this.sending ??= this.sendOnce().finally(() => {
      this.sending = undefined;
    });
    return this.sending;
  }

  record(): NodeRecord {
    const { lifecycle, pools, warnings, dataUrl, controlUrl, weight, masterKeys } = this.parts;
    return {
      id: pools.nodeId,
      dataUrl,
      controlUrl,
      weight,
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
      masterKeys: [...masterKeys],
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
      // The store is away: the reconciler says so, and routers go on with what they know.
      return;
    }
    const { lifecycle, joined } = this.parts;
    if (lifecycle.phase !== 'joining') return;
    lifecycle.move('serving');
    joined();
  }
}
