export type ReadinessState = 'starting' | 'ready' | 'degraded' | 'draining';

/** Whether the router should get requests. Without the store it goes on with what it knows, so that only degrades it. */
export class Readiness {
  private readonly stop = new AbortController();

  constructor(
    private readonly catalog: { loaded: boolean },
    private readonly store: { ready: boolean },
  ) {}

  /** Aborted when the router begins to stop: for answers that have no end of their own. */
  get stopping(): AbortSignal {
    return this.stop.signal;
  }

  get state(): ReadinessState {
    if (this.stop.signal.aborted) return 'draining';
    if (!this.catalog.loaded) return 'starting';
    return this.store.ready ? 'ready' : 'degraded';
  }

  get ready(): boolean {
    return this.state === 'ready' || this.state === 'degraded';
  }

  beginStop(): void {
    this.stop.abort();
  }
}
