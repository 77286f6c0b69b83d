import type { NodeRecord } from '@kiln/contract/records/records';
import { connectTo, type DialledUpstream } from '@kiln/forward/client/upstream';
import { NODE_HEAD_BYTES } from '@kiln/forward/headers/head-limits';
import { Members } from '@kiln/forward/members';
import { isUsable, moved, type NodeState, type ProbeResult } from './node-health.js';

/** A heartbeat older than this, by the router's own clock, is missed: the node's door is asked. */
const HEARTBEAT_LIMIT_MS = 2500;
/** A load that a node reported counts for so long. */
const LOAD_LIMIT_MS = 2000;
/** The door of a node that is out of use, or whose heartbeat is missed, is asked this often. */
const ASK_EVERY_MS = 1000;

let serials = 0;

/** A call that is under way on a node. */
export interface UnderWay {
  /** What it weighs in the node's load. */
  readonly weight: number;
  /** By `performance.now()`: it is ended past that. */
  readonly deadline: number;
  end(reason: string): void;
}

/** One node's door in one life of its agent: how it is reached, and what is under way there. */
export class NodeConnections {
  readonly id: string;
  readonly upstream: DialledUpstream;
  readonly host: string;
  readonly port: number;
  readonly url: string;
  readonly epoch: string;
  /** Says when a request waits. */
  readonly tellsWaiting: boolean;
  readonly underWay = new Members<UnderWay>();
  /** For the watch: what it had heard at its last look, and for how many looks there was nothing new. */
  heard = 0;
  silentTicks = 0;

  constructor({ id, dataUrl, epoch, tellsWaiting = false }: NodeRecord) {
    const { hostname, port } = new URL(dataUrl);
    this.id = id;
    this.url = dataUrl;
    this.epoch = epoch;
    this.tellsWaiting = tellsWaiting;
    this.host = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
    this.port = Number(port);
    this.upstream = connectTo({ host: this.host, port: this.port, maxHeaderBytes: NODE_HEAD_BYTES });
  }

  /** Ends what is under way. */
  endCalls(reason: string): void {
    for (const call of this.underWay) call.end(reason);
  }
}

/** A node that was chosen for a call, until it is given back. */
class Claim {
  private held = true;

  constructor(
    private readonly node: NodeEntry,
    readonly connections: NodeConnections,
    private readonly weight: number,
    private readonly leave: () => void,
  ) {}

  /** May be called again. @param load what the node said of its load with its answer */
  giveBack(load?: number): void {
    if (!this.held) return;
    this.held = false;
    this.leave();
    this.node.release(this.weight, load);
  }
}

/** All that is known of one node. */
export class NodeEntry {
  /** Tells an entry from a later one of the same id. */
  readonly serial = serials++;
  state: NodeState;
  /** The store names it. */
  listed = true;
  /** Weight of this router's own requests there. */
  private inFlight = 0;
  /** Those of its agent's present life, once a call has used them. */
  connections: NodeConnections | undefined;
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
    /** Takes the connections of earlier lives or addresses. */
    private readonly retire: (connections: NodeConnections) => void,
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

  /** A call is about to be sent there. */
  claim(call: UnderWay): Claim {
    this.connections ??= new NodeConnections(this.record);
    this.inFlight += call.weight;
    return new Claim(this, this.connections, call.weight, this.connections.underWay.add(call));
  }

  /** @internal */
  release(weight: number, load: number | undefined): void {
    this.inFlight -= weight;
    if (load !== undefined) this.report(load, this.clock());
  }

  /** The next call gets new connections: an address alone does not say who answers there. */
  disconnect(): void {
    if (this.connections === undefined) return;
    this.connections.upstream.close();
    this.retire(this.connections);
    this.connections = undefined;
  }

  update(record: NodeRecord, alive: boolean, now: number): void {
    if (record.epoch !== this.record.epoch || record.dataUrl !== this.record.dataUrl) this.disconnect();
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

  private report(load: number, now: number): void {
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
