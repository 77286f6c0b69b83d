/** What a node does for its cluster. */
export type NodePhase =
  /** Its door is open, and no heartbeat of it has got through. */
  | 'joining'
  | 'serving'
  /** It takes no new work, finishes what runs, and stays a member; that can be taken back. */
  | 'draining'
  /** The same on the way out: it is no member any more. */
  | 'leaving'
  /** Nothing of its work is left, and its door closes. */
  | 'gone';

/** Every move there is. */
const MOVES: Record<NodePhase, readonly NodePhase[]> = {
  joining: ['serving', 'draining', 'leaving'],
  serving: ['draining', 'leaving'],
  draining: ['serving', 'leaving'],
  leaving: ['gone'],
  gone: [],
};
const TAKES_WORK: ReadonlySet<NodePhase> = new Set(['joining', 'serving']);

/** The phase of this node and the only way to change it. Its door, its heartbeat and its answers about itself read it here. */
export class NodeLifecycle {
  /** Where it does not, everything is refused, and another node may take it at once. Only `move` writes it. */
  takesWork = true;
  private current: NodePhase = 'joining';
  private since = performance.now();

  get phase(): NodePhase {
    return this.current;
  }

  /** ms since it has taken no new work; 0 while it does. */
  get refusesFor(): number {
    return this.takesWork ? 0 : performance.now() - this.since;
  }

  can(to: NodePhase): boolean {
    return MOVES[this.current].includes(to);
  }

  /** @throws Error for a move that the table does not have: a fault of ours */
  move(to: NodePhase): void {
    if (!this.can(to)) throw new Error(`a node cannot go from ${this.current} to ${to}`);
    const took = this.takesWork;
    this.current = to;
    this.takesWork = TAKES_WORK.has(to);
    if (took && !this.takesWork) this.since = performance.now();
  }
}
