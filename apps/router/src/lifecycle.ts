/** What a router does for callers. */
export type RouterPhase =
  /** It has not read the functions yet. */
  | 'starting'
  | 'serving'
  /** Load balancers are told to go elsewhere. It serves what comes nevertheless until its door closes, and finishes what runs. */
  | 'draining'
  /** Nothing of its work is left. */
  | 'gone';

/** Every move there is. */
const MOVES: Record<RouterPhase, readonly RouterPhase[]> = {
  starting: ['serving', 'draining'],
  serving: ['draining'],
  draining: ['gone'],
  gone: [],
};

/** The phase of this router and the only way to change it. Its door and its answers about itself read it here. */
export class RouterLifecycle {
  /** Only a move of the table writes it. */
  phase: RouterPhase = 'starting';
  private readonly drain = new AbortController();
  /** Aborted when the router begins to drain: for answers that have no end of their own. */
  readonly draining: AbortSignal = this.drain.signal;

  /** Whether load balancers should send requests. */
  get isReady(): boolean {
    return this.phase === 'serving';
  }

  can(to: RouterPhase): boolean {
    return MOVES[this.phase].includes(to);
  }

  /** @throws Error for a move that the table does not have: a fault of ours */
  move(to: RouterPhase): void {
    if (!this.can(to)) throw new Error(`a router cannot go from ${this.phase} to ${to}`);
    this.phase = to;
    if (to === 'draining') this.drain.abort();
  }
}
