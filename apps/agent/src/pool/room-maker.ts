import type { Capacity, Reservation } from './capacity.js';
import { chooseVictims, type Room } from './choose-victims.js';
import type { Instance } from './instance.js';
import { Refusal } from './refusal.js';

/** How long instances on their way out are waited for. */
const LEAVING_MS = 5000;

/** What making room needs of the node. */
export interface Residents {
  /** Idle instances that nobody would miss. */
  spareable(): Instance[];
  evict(instance: Instance): void;
  /** Instances on their way out: what they hold will be free soon. */
  leaving(): Room;
}

/** Finds memory and cpu for a new instance, at the cost of idle ones unused longest. */
export class RoomMaker {
  // One after the other: two starts must not count on the same victim.
  private turn: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly capacity: Capacity,
    private readonly residents: Residents,
  ) {}

  /** @throws Refusal `no_capacity` where the node is full of instances that are needed */
  reserve(need: Room): Promise<Reservation> {
    const result = this.turn.then(() => this.makeRoom(need));
    this.turn = result.catch(() => undefined);
    return result;
  }

  private async makeRoom(need: Room): Promise<Reservation> {
    const deadline = performance.now() + LEAVING_MS;
    for (;;) {
      const reservation = this.capacity.reserve(need);
      if (reservation !== undefined) return reservation;
      const left = deadline - performance.now();
      if (left <= 0 || !this.clear(need)) throw this.full(need);
      await this.capacity.released(left);
    }
  }

  /** True where room will come: enough is leaving, or was just told to. */
  private clear(need: Room): boolean {
    const missing = this.capacity.missing(need);
    const leaving = this.residents.leaving();
    const still = { memory: missing.memory - leaving.memory, cpu: missing.cpu - leaving.cpu };
    if (still.memory <= 0 && still.cpu <= 1e-6) return true;
    const idle = this.residents.spareable();
    const candidates = idle.map(({ id, idleSince, version: { config } }) => ({ id, idleSince, memory: config.memory, cpu: config.cpu }));
    const victims = new Set(chooseVictims(still, candidates).map(({ id }) => id));
    for (const instance of idle) if (victims.has(instance.id)) this.residents.evict(instance);
    return victims.size > 0;
  }

  private full(need: Room): Refusal {
    const { total, memoryPromised, cpuPromised } = this.capacity;
    return new Refusal(
      'no_capacity',
      `no room for ${need.memory} MB and ${need.cpu} cores: ${memoryPromised} of ${total.memory} MB and ${cpuPromised} of ${total.cpu} cores are promised`,
    );
  }
}
