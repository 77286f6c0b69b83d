import type { NodeRecord } from '@kiln/contract/records/records';
import type { Elsewhere } from '@kiln/instances/room/room-maker';

/** What a node said is believed for so long. */
const BELIEVED_MS = 250;
/** So many nodes are asked for room, those with most first. */
const ASKED = 3;

/** What a node says of itself when it is asked. */
export type NeighbourState = Pick<NodeRecord, 'draining' | 'memory' | 'memoryPromised' | 'load' | 'instances'>;

interface Neighbour {
  record: NodeRecord;
  askedAt: number;
  /** Undefined where its door does not answer. */
  answer: Promise<NeighbourState | undefined>;
  /** MB that calls were sent away for since it answered. */
  claimed: number;
  /** Since its door stayed silent: the first heartbeat that the store showed after that. */
  silence: { heartbeat?: string } | undefined;
}

/**
 * The other nodes, asked at their own door before a call is sent away to them: what the store knows may be seconds old, and a node
 * that was killed lives on there for three.
 */
export class Neighbours implements Elsewhere {
  private readonly nodes = new Map<string, Neighbour>();

  constructor(
    private readonly node: string,
    /** Undefined where its door does not answer, within a bound. */
    private readonly ask: (record: NodeRecord) => Promise<NeighbourState | undefined>,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Membership as the store has it. */
  update(records: readonly (NodeRecord & { alive: boolean })[]): void {
    const others = new Map(records.filter(({ id, alive }) => alive && id !== this.node).map((record) => [record.id, record]));
    for (const id of this.nodes.keys()) if (!others.has(id)) this.nodes.delete(id);
    for (const [id, record] of others) {
      const known = this.nodes.get(id);
      if (known === undefined) this.nodes.set(id, newNeighbour(record));
      else {
        known.record = record;
        if (known.silence !== undefined) known.silence.heartbeat ??= heartbeatOf(record);
      }
    }
  }

  /** No other node is alive. */
  get none(): boolean {
    return this.nodes.size === 0;
  }

  async hasRoom(memory: number): Promise<boolean> {
    const likely = [...this.nodes.values()].filter(({ record }) => !record.draining && room(record) >= memory);
    for (const neighbour of likely.sort((a, b) => room(b.record) - room(a.record)).slice(0, ASKED)) {
      const state = await this.stateOf(neighbour);
      if (state === undefined || state.draining || room(state) - neighbour.claimed < memory) continue;
      neighbour.claimed += memory;
      return true;
    }
    return false;
  }

  /**
   * Whether one of these nodes takes calls. One whose door is silent does once the
   * store shows two heartbeats after that: its door is closed to us only.
   */
  async anyTakes(ids: readonly string[]): Promise<boolean> {
    const takes = await Promise.all(ids.map((id) => this.takes(this.nodes.get(id))));
    return takes.includes(true);
  }

  private async takes(neighbour: Neighbour | undefined): Promise<boolean> {
    if (neighbour === undefined || neighbour.record.draining) return false;
    const state = await this.stateOf(neighbour);
    if (state !== undefined) {
      neighbour.silence = undefined;
      return !state.draining;
    }
    neighbour.silence ??= {};
    const { heartbeat } = neighbour.silence;
    return heartbeat !== undefined && heartbeat !== heartbeatOf(neighbour.record);
  }

  private stateOf(neighbour: Neighbour): Promise<NeighbourState | undefined> {
    if (this.now() - neighbour.askedAt > BELIEVED_MS) {
      neighbour.askedAt = this.now();
      neighbour.claimed = 0;
      neighbour.answer = this.ask(neighbour.record);
    }
    return neighbour.answer;
  }
}

function newNeighbour(record: NodeRecord): Neighbour {
  return { record, askedAt: Number.NEGATIVE_INFINITY, answer: Promise.resolve(undefined), claimed: 0, silence: undefined };
}

const heartbeatOf = ({ epoch, beat }: NodeRecord) => `${epoch} ${beat}`;

/** MB that are free or held by idle instances, as far as busy ones are like the others. */
function room({ memory, memoryPromised, load, instances }: NeighbourState): number {
  return memory - memoryPromised * Math.min(1, instances === 0 ? 0 : load / instances);
}
