import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FunctionConfigInput, resolveConfig } from '@kiln/contract/config/function-config';
import { until } from '@kiln/testing/until';
import type { Lease } from '../instance/instance.js';
import { InstanceLog } from '../logs/instance-log.js';
import type { FunctionVersion } from '../port/container-driver.js';
import { FakeDriver, type FakeImage } from '../port/fake-driver.fixture.js';
import { Capacity } from '../room/capacity.js';
import { Gate } from '../room/gate.js';
import type { RoomMaker } from '../room/room-maker.js';
import { InstanceStarter, type SlotAnswer } from '../start/start-instance.js';
import type { InstancePool } from './instance-pool.js';
import { Pools } from './pools.js';

/** The pools of a node of 1000 MB whose engine takes four starts at once, on a driver that needs no engine. */
export class TestPools {
  readonly driver = new FakeDriver();
  readonly pools: Pools;
  /** That the cluster still has to give. */
  slotsLeft = 1000;
  /** What is said where it has none. */
  noSlot: SlotAnswer = 'elsewhere';
  /** Another node has room. */
  roomElsewhere = false;
  private readonly home = mkdtempSync(join(tmpdir(), 'kiln-'));

  constructor(cpu = 100) {
    const origin = { function: 'f', version: 1, node: 'test', instance: 'i', requestOfOutput: () => undefined };
    const starterIn = (room: RoomMaker) =>
      new InstanceStarter({
        driver: this.driver,
        images: { ensure: async () => undefined },
        secretsOf: async () => ({}),
        slots: {
          reserve: async (): Promise<SlotAnswer> => {
            if (this.slotsLeft <= 0) return this.noSlot;
            this.slotsLeft--;
            return 'granted';
          },
          release: () => {
            this.slotsLeft++;
          },
        },
        room,
        gate: new Gate(4),
        newLog: () => new InstanceLog(origin, () => undefined),
        socketRoot: this.home,
      });
    this.pools = new Pools('test', new Capacity({ memory: 1000, cpu }), starterIn, { hasRoom: async () => this.roomElsewhere });
  }

  pool(config: FunctionConfigInput = {}, image: FakeImage = 'serves', name = 'f', number = 1): InstancePool {
    const version: FunctionVersion = {
      function: name,
      version: number,
      image,
      kind: 'runner',
      config: resolveConfig({ memory: 16, ...config }, 'runner'),
    };
    return this.pools.of(version);
  }

  async stop(): Promise<void> {
    this.pools.close();
    this.pools.cut();
    await until('nothing of it is left', async () => this.pools.living.size === 0);
    rmSync(this.home, { recursive: true, force: true });
  }
}

export async function lease(from: InstancePool, id = 'r'): Promise<Lease> {
  return from.tryLease(id) ?? (await from.wait(id).lease);
}

/** One that has ended. */
export async function leased(from: InstancePool): Promise<Lease> {
  const given = await lease(from);
  given.release();
  return given;
}

export const many = (count: number, from: InstancePool) => Promise.all(Array.from({ length: count }, (_, i) => lease(from, `r${i}`)));
