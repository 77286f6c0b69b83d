import type { RouterLifecycle } from '../../lifecycle.js';

/** What /readyz says. Without the store the router goes on with what it knows, so that only degrades it. */
export class Readiness {
  constructor(
    private readonly lifecycle: RouterLifecycle,
    private readonly store: { ready: boolean; trouble: { detail: string } | undefined },
  ) {}

  get ready(): boolean {
    return this.lifecycle.isReady;
  }

  get state(): string {
    if (!this.ready) return this.lifecycle.phase;
    return this.store.ready && this.store.trouble === undefined ? 'ready' : 'degraded';
  }

  /** What is not well with a store that answers. */
  get trouble(): string | undefined {
    return this.store.ready ? this.store.trouble?.detail : undefined;
  }
}
