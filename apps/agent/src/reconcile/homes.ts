import type { NodeRecord } from '@kiln/contract/records/records';
import { Ring } from '@kiln/ring/ring';

/** Which functions have their home here, by the nodes of the last refresh. */
export class Homes {
  private ring = Ring.of([]);
  private key = '';

  constructor(private readonly node: string) {}

  update(nodes: readonly (NodeRecord & { alive: boolean })[]): void {
    const live = nodes.filter(({ alive, draining }) => alive && !draining).map(({ id, weight }) => ({ id, weight }));
    const key = JSON.stringify(live);
    if (key === this.key) return;
    this.key = key;
    this.ring = Ring.of(live);
  }

  readonly isHome = (name: string): boolean => this.ring.preference(name, 1)[0] === this.node;
}
