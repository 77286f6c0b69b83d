import type { NodeRecord } from '@kiln/contract/records/records';
import type { Elsewhere } from '@kiln/instances/room/room-maker';

/** The status of a node is valid for so long. */
const VALID_MS = 250;
/** A search for room asks so many nodes, those with most room first. */
const ASKED = 3;

/** The status of a node, as the node reports it. */
export type NeighbourState = Pick<NodeRecord, 'draining' | 'memory' | 'memoryPromised' | 'load' | 'instances'>;

interface Neighbour {
  record: NodeRecord;
  askedAt: number;
  /** Undefined where it does not answer. */
  answer: Promise<NeighbourState | undefined>;
  /** MB of memory for calls that were sent to it since its answer. */
  claimed: number;
  /** Set while it does not answer, with the first heartbeat that the store showed after that. */
  silence: { heartbeat?: string } | undefined;
}

/** The other nodes, asked directly before a call goes to them: in the store, a killed node lives on for three seconds. */
export class Neighbours implements Elsewhere {
  private readonly nodes = new Map<string, Neighbour>();

  constructor(
    private readonly node: string,
    /** Ends within a bound; undefined where the node does not answer. */
    private readonly ask: (record: NodeRecord) => Promise<NeighbourState | undefined>,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Updates the members from the store. */
  update(records: readonly (NodeRecord & { alive: boolean })[]): void {
    const others = new Map(records.filter(({ id, alive }) => alive && id !== this.node).map((record) => [record.id, record]));
    for (const id of this.nodes.keys()) if (!others.has(id)) this.nodes.delete(id);
    for (const [id, record] of others) {
      const neighbour = this.nodes.get(id);
      if (neighbour === undefined) {
        const answer = Promise.resolve(undefined);
        this.nodes.set(id, { record, askedAt: Number.NEGATIVE_INFINITY, answer, claimed: 0, silence: undefined });
      } else {
        neighbour.record = record;
        if (neighbour.silence !== undefined) neighbour.silence.heartbeat ??= heartbeatOf(record);
      }
    }
  }

  /** True where no other node is alive. */
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

  /** Whether one of these takes calls. A silent one counts once the store shows two heartbeats since: then only this node can't reach it. */
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
    if (this.now() - neighbour.askedAt > VALID_MS) {
      neighbour.askedAt = this.now();
      neighbour.claimed = 0;
      neighbour.answer = this.ask(neighbour.record);
    }
    return neighbour.answer;
  }
}

const heartbeatOf = ({ epoch, beat }: NodeRecord) => `${epoch} ${beat}`;

/** MB that are free or in idle instances, where busy instances are as large as the others. */
function room({ memory, memoryPromised, load, instances }: NeighbourState): number {
  return memory - memoryPromised * Math.min(1, instances === 0 ? 0 : load / instances);
}
