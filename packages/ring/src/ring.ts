import { createHash, hash } from 'node:crypto';
import ConsistentHash from 'consistent-hash';

export interface RingNode {
  id: string;
  /** Share of the keys relative to other nodes. */
  weight: number;
}

/** Largest prime below 2^24: the library's shifted hash stays below 2^29, so the modulus still mixes. */
const RANGE = 16_777_213;
const POINTS_PER_WEIGHT = 160;

/**
 * A consistent hash ring. It never changes: a new membership is a new ring, so no reader ever sees half of one. Every process
 * with the same nodes gets the same answers; `golden.json` holds some of them, so that versions of Kiln agree too.
 */
export class Ring {
  /** In order of their ids. */
  readonly nodes: readonly RingNode[];
  private readonly points = new ConsistentHash({ range: RANGE });

  private constructor(nodes: readonly RingNode[]) {
    this.nodes = nodes;
    const taken = new Set<number>();
    for (const node of nodes) this.points.add(node.id, 0, pointsOf(node, taken));
  }

  /** Ids must be distinct and weights positive. */
  static of(nodes: readonly RingNode[]): Ring {
    const sorted = [...nodes].sort((a, b) => (a.id < b.id ? -1 : 1));
    for (const [i, { id, weight }] of sorted.entries()) {
      if (!(weight > 0)) throw new RangeError(`node "${id}" must have a positive weight, not ${weight}`);
      if (sorted[i + 1]?.id === id) throw new RangeError(`node "${id}" is on the ring twice`);
    }
    return new Ring(sorted);
  }

  /** The nodes of a key in order: its home first, then the successors, each once. At most `count` of them. */
  preference(key: string, count: number = this.nodes.length): string[] {
    if (count <= 0) return [];
    // The library's own hash puts names that differ in their last characters close together: hash them well first.
    return this.points.get(hash('sha256', key, 'base64url'), count) ?? [];
  }
}

// A point that another node has already is left out rather than replaced by a further one: the points of the nodes that stay
// are then the same when a node leaves, so only its own keys move.
function pointsOf({ id, weight }: RingNode, taken: Set<number>): number[] {
  const points: number[] = [];
  for (let i = 0; i < Math.max(1, Math.round(POINTS_PER_WEIGHT * weight)); i++) {
    const point = createHash('sha256').update(`${id}\0${i}`).digest().readUIntBE(0, 6) % RANGE;
    if (taken.has(point)) continue;
    taken.add(point);
    points.push(point);
  }
  return points;
}
