import type { NodeConnections } from '../placement/node.js';
import type { ProbeResult } from '../placement/node-health.js';
import type { NodeTable } from '../placement/node-table.js';
import { NodeDoor } from './ask-door.js';
import { LATE, NODE_LOST } from './try-nodes.js';

/**
 * The clock by which silence is measured: it ticks at most once per round of the event loop. So a stall of this process, or a freeze of
 * its machine, counts as one tick whatever it took, and is never taken for a node's silence.
 */
const TICK_MS = 100;
/** With calls under way, a node from which nothing new was heard since the last tick is asked, and again every 500 ms. */
const SILENT_TICKS = 5;
/** What a door may take: 800 ms. TCP has sent a lost packet three times by then. */
const ANSWER_TICKS = 8;
/** Evidence does not ask a door again so soon. */
const EVIDENCE_EVERY_MS = 100;
/** The heartbeats of all nodes have to be missed for so long before that is logged. */
const UNHEARD_TICKS = 20;

export interface WatchLog {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
}

/**
 * Asks the doors of nodes that are in doubt, and ends at once what is under way on one that does not answer. Also ends calls whose time
 * is up. A call costs it a place in a set; the rest is done ten times a second for all calls together.
 */
export class NodeWatch {
  private readonly doors = new Map<string, NodeDoor>();
  private timer: NodeJS.Timeout | undefined;
  private unheardTicks = 0;

  constructor(
    private readonly nodes: NodeTable,
    private readonly log: WatchLog,
  ) {}

  start(): void {
    this.timer ??= setInterval(this.tick, TICK_MS).unref();
  }

  stop(): void {
    clearInterval(this.timer);
    this.timer = undefined;
    for (const door of this.doors.values()) door.close();
    this.doors.clear();
  }

  /** A request met a fault there that may be the node's own. */
  doubt(id: string): void {
    const node = this.nodes.find(id);
    if (node === undefined) return;
    const door = this.doors.get(id);
    if (door === undefined || performance.now() - door.askedAt >= EVIDENCE_EVERY_MS) this.ask(id, node.record.dataUrl);
  }

  private readonly tick = (): void => {
    const now = performance.now();
    for (const connections of this.nodes.connections()) {
      for (const call of connections.underWay) if (now > call.deadline) call.end(LATE);
      this.listenTo(connections);
    }
    for (const door of this.doors.values()) door.tick(ANSWER_TICKS);
    for (const { id, record } of this.nodes.due()) this.ask(id, record.dataUrl);
    for (const [id, door] of this.doors) {
      if (door.asking || this.nodes.find(id) !== undefined) continue;
      door.close();
      this.doors.delete(id);
    }
    this.noteStore();
  };

  /** Whether a node on which calls run has become silent. */
  private listenTo(connections: NodeConnections): void {
    const { id, url, epoch, upstream, underWay } = connections;
    const record = this.nodes.find(id)?.record;
    if (record !== undefined && record.epoch !== epoch) {
      // The agent was started anew: nobody is left who could answer.
      connections.endCalls(NODE_LOST);
      return;
    }
    if (upstream.heard !== connections.heard) {
      connections.heard = upstream.heard;
      connections.silentTicks = 0;
      this.doors.get(id)?.hear();
    } else if (underWay.size === 0) connections.silentTicks = 0;
    else if (connections.silentTicks++ % SILENT_TICKS === 0) this.ask(id, url);
  }

  /** One question per node at a time. */
  private ask(id: string, url: string): void {
    let door = this.doors.get(id);
    if (door?.asking) return;
    if (door?.url !== url) {
      door?.close();
      door = new NodeDoor(id, url, this.settle);
      this.doors.set(id, door);
    }
    this.nodes.ask(id);
    door.ask();
  }

  private readonly settle = (id: string, verdict: ProbeResult): void => {
    if (this.nodes.settle(id, verdict)) this.logChange(id, verdict);
    if (verdict !== 'no_answer') return;
    for (const connections of this.nodes.connections()) if (connections.id === id) connections.endCalls(NODE_LOST);
  };

  private logChange(node: string, verdict: ProbeResult): void {
    if (verdict === 'no_answer')
      this.log.warn({ node }, 'the node does not answer at its door: it is out of use, and its calls were ended');
    else if (verdict === 'leaving') this.log.info({ node }, 'the node takes no more calls: it is out of use');
    else this.log.info({ node }, 'the node answers at its door: it is in use again');
  }

  private noteStore(): void {
    const before = this.unheardTicks >= UNHEARD_TICKS;
    this.unheardTicks = this.nodes.unheard ? this.unheardTicks + 1 : 0;
    const after = this.unheardTicks >= UNHEARD_TICKS;
    if (after && !before)
      this.log.warn({}, 'no heartbeat of any node comes through the store: nodes stay in use as long as their doors answer');
    else if (before && !after) this.log.info({}, 'heartbeats come through the store again');
  }
}
