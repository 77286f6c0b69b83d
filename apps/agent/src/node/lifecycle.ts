/** The state of a node in its cluster. */
export type NodePhase =
  /** It listens, and no heartbeat of it is stored yet. */
  | 'joining'
  | 'serving'
  /** It takes no new work, finishes running requests, and stays a member; the drain can be cancelled. */
  | 'draining'
  /** The same, but it is no member any more. */
  | 'leaving'
  /** It has no work left, and its listener closes. */
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

/** The phase of this node and the only way to change it. Listener, heartbeat and status read it here. */
export class NodeLifecycle {
  /** Where it does not, everything is refused, and another node may take it at once. Only `move` writes it. */
  takesWork = true;
  /** Only `move` writes it. */
  phase: NodePhase = 'joining';
  private since = performance.now();

  /** ms since it has taken no new work; 0 while it does. */
  get refusesFor(): number {
    return this.takesWork ? 0 : performance.now() - this.since;
  }

  can(to: NodePhase): boolean {
    return MOVES[this.phase].includes(to);
  }

  /** @throws Error for a move that the table does not have: an internal error */
  move(to: NodePhase): void {
    if (!this.can(to)) throw new Error(`a node cannot go from ${this.phase} to ${to}`);
    const took = this.takesWork;
    this.phase = to;
    this.takesWork = TAKES_WORK.has(to);
    if (took && !this.takesWork) this.since = performance.now();
  }
}
