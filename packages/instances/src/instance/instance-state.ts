/** What an instance can be. `removed` is the end: its container is confirmed gone. */
export type InstanceState = 'created' | 'starting' | 'idle' | 'busy' | 'draining' | 'stopping' | 'failed' | 'removed';

/**
 * Every move there is. `created`: promised, no container yet; it stops where nobody needs it any more. `draining`: takes no new lease and ends with its last one.
 * `failed`: never became ready.
 */
const MOVES: Record<InstanceState, readonly InstanceState[]> = {
  created: ['starting', 'stopping', 'failed'],
  starting: ['idle', 'failed'],
  idle: ['busy', 'stopping'],
  busy: ['idle', 'draining', 'stopping'],
  draining: ['stopping'],
  stopping: ['removed'],
  failed: ['removed'],
  removed: [],
};

/** How many instances are in each state, and how many ever entered it. Only transitions write here, so numbers can't drift. */
export class Census {
  readonly now: Record<InstanceState, number> = zeros();
  readonly ever: Record<InstanceState, number> = zeros();

  /** Instances that exist: all but the removed. */
  get existing(): number {
    const { created, starting, idle, busy, draining, stopping, failed } = this.now;
    return created + starting + idle + busy + draining + stopping + failed;
  }

  /** On their way to being ready. */
  get coming(): number {
    return this.now.created + this.now.starting;
  }

  /** Ready and taking leases. */
  get serving(): number {
    return this.now.idle + this.now.busy;
  }

  enter(to: InstanceState, from?: InstanceState): void {
    if (from !== undefined) this.now[from]--;
    if (to !== 'removed') this.now[to]++;
    this.ever[to]++;
  }
}

/** The state of one instance and the only way to change it. */
export class InstanceLife {
  private current: InstanceState = 'created';

  /** Every census named counts this instance from now on. */
  constructor(private readonly censuses: readonly Census[]) {
    for (const census of censuses) census.enter('created');
  }

  get state(): InstanceState {
    return this.current;
  }

  /** @throws Error for a move that the table does not have: a fault of ours, never of a caller. */
  transition(to: InstanceState): void {
    const from = this.current;
    if (!MOVES[from].includes(to)) throw new Error(`an instance cannot go from ${from} to ${to}`);
    this.current = to;
    for (const census of this.censuses) census.enter(to, from);
  }
}

function zeros(): Record<InstanceState, number> {
  return { created: 0, starting: 0, idle: 0, busy: 0, draining: 0, stopping: 0, failed: 0, removed: 0 };
}
