export type ReadinessState = 'starting' | 'ready' | 'degraded' | 'draining';

/** Whether the router should get requests. Without the store it goes on with what it knows, so that only degrades it. */
export class Readiness {
  private readonly stop = new AbortController();

  constructor(
    private readonly catalog: { loaded: boolean },
    private readonly store: { ready: boolean; trouble: { detail: string } | undefined },
  ) {}

  /** Aborted when the router begins to stop: for answers that have no end of their own. */
  get stopping(): AbortSignal {
    return this.stop.signal;
  }

  get state(): ReadinessState {
    if (this.stop.signal.aborted) return 'draining';
    if (!this.catalog.loaded) return 'starting';
    return this.store.ready && this.store.trouble === undefined ? 'ready' : 'degraded';
  }

  /** What is not well with a store that answers. */
  get trouble(): string | undefined {
    return this.store.ready ? this.store.trouble?.detail : undefined;
  }

  get ready(): boolean {
    return this.state === 'ready' || this.state === 'degraded';
  }

  beginStop(): void {
    this.stop.abort();
  }
}
