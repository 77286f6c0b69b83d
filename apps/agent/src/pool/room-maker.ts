import type { Capacity, Reservation } from './capacity.js';
import { type Candidate, chooseVictims, type Room } from './choose-victims.js';
import type { Instance } from './instance.js';
import { Refusal } from './refusal.js';

/** How long instances on their way out are waited for. */
const LEAVING_MS = 5000;

export interface Spareable extends Candidate {
  instance: Instance;
}

/** What making room needs of the node. */
export interface Residents {
  /** Idle instances that nobody would miss. */
  spareable(): Spareable[];
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

  /**
   * `ahead`: only at the cost of versions without traffic.
   * @throws Refusal `no_capacity` where the node is full of instances that are needed
   */
  reserve(need: Room, ahead = false): Promise<Reservation> {
    const result = this.turn.then(() => this.makeRoom(need, ahead));
    this.turn = result.catch(() => undefined);
    return result;
  }

  private async makeRoom(need: Room, ahead: boolean): Promise<Reservation> {
    const deadline = performance.now() + LEAVING_MS;
    for (;;) {
      const reservation = this.capacity.reserve(need);
      if (reservation !== undefined) return reservation;
      const left = deadline - performance.now();
      if (left <= 0 || !this.clear(need, ahead)) throw this.full(need);
      await this.capacity.released(left);
    }
  }

  /** True where room will come: enough is leaving, or was just told to. */
  private clear(need: Room, ahead: boolean): boolean {
    const missing = this.capacity.missing(need);
    const leaving = this.residents.leaving();
    const still = { memory: missing.memory - leaving.memory, cpu: missing.cpu - leaving.cpu };
    if (still.memory <= 0 && still.cpu <= 1e-6) return true;
    const idle = this.residents.spareable();
    const victims = chooseVictims(still, ahead ? idle.filter(({ wanted }) => !wanted) : idle);
    for (const { instance } of victims) this.residents.evict(instance);
    return victims.length > 0;
  }

  private full(need: Room): Refusal {
    const { total, memoryPromised, cpuPromised } = this.capacity;
    return new Refusal(
      'no_capacity',
      `no room for ${need.memory} MB and ${need.cpu} cores: ${memoryPromised} of ${total.memory} MB and ${cpuPromised} of ${total.cpu} cores are promised`,
    );
  }
}
