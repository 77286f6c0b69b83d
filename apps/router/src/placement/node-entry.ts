import type { NodeRecord } from '@kiln/contract/records/records';
import type { NodeLoad } from './choose-nodes.js';
import { isUsable, moved, type NodeState, type ProbeResult } from './node-health.js';

/** A node as requests see it. */
export interface LiveNode extends NodeLoad {
  readonly record: NodeRecord;
}

/** A heartbeat older than this, by the router's own clock, is missed: the node's door is asked. */
const HEARTBEAT_LIMIT_MS = 2500;
/** A load that a node reported counts for so long. */
const LOAD_LIMIT_MS = 2000;
/** The door of a node that is out of use, or whose heartbeat is missed, is asked this often. */
const ASK_EVERY_MS = 1000;

let serials = 0;

/** All that is known of one node. */
export class NodeEntry implements LiveNode {
  /** Tells an entry from a later one of the same id. */
  readonly serial = serials++;
  state: NodeState;
  /** The store names it. */
  listed = true;
  /** Weight of this router's own requests there. */
  inFlight = 0;
  private reported: number;
  private reportedAt: number;
  private beatAt: number;
  private askAt: number;

  /** One whose heartbeat had run out before it was first seen has to answer at its door before it is used. */
  constructor(
    private readonly clock: () => number,
    public record: NodeRecord,
    private alive: boolean,
    now: number,
  ) {
    this.state = alive ? 'in_use' : 'lost';
    this.reported = record.load;
    this.reportedAt = now;
    this.beatAt = now;
    this.askAt = now;
  }

  get id(): string {
    return this.record.id;
  }

  get weight(): number {
    return this.record.weight;
  }

  get cores(): number {
    return this.record.cores;
  }

  get load(): number {
    return this.reported > this.inFlight && this.clock() - this.reportedAt < LOAD_LIMIT_MS ? this.reported : this.inFlight;
  }

  get usable(): boolean {
    return isUsable(this.state);
  }

  update(record: NodeRecord, alive: boolean, now: number): void {
    this.alive = alive;
    this.listed = true;
    if (record.epoch !== this.record.epoch || record.beat !== this.record.beat) {
      this.beatAt = now;
      this.report(record.load, now);
      // A sign of life: its door may answer again.
      if (!this.usable) this.askAt = now;
    }
    this.record = record;
  }

  /** The store does not name it any more. */
  unlist(now: number): void {
    if (this.listed) this.askAt = now;
    this.listed = false;
  }

  report(load: number, now: number): void {
    this.reported = load;
    this.reportedAt = now;
  }

  /** Heartbeats come through the store. */
  isFresh(now: number): boolean {
    return this.listed && this.alive && now - this.beatAt < HEARTBEAT_LIMIT_MS;
  }

  /** Without evidence from a request: it is time to ask its door. */
  isDue(now: number): boolean {
    if (this.state === 'doubted' || this.state === 'asked_again' || now < this.askAt) return false;
    return this.state !== 'in_use' || !this.isFresh(now);
  }

  ask(now: number): void {
    this.state = moved(this.state, 'ask');
    this.askAt = now + ASK_EVERY_MS;
  }

  settle(verdict: ProbeResult): void {
    this.state = moved(this.state, verdict);
  }
}
