import { KilnError } from '@kiln/contract/errors';

const FUNCTIONS_EVERY_MS = 2000;
const KEYS_EVERY_MS = 2000;
const COPY_EVERY_MS = 2000;
/** More often, so that a node whose heartbeat has expired is out of use soon. */
const NODES_EVERY_MS = 500;
/** Events within this time cause one read. */
const SETTLE_MS = 20;

export interface Readers {
  functions: { refresh(): Promise<void> };
  nodes: { refresh(): Promise<void> };
  keys: { refresh(): Promise<void> };
  /** The copy of all stored records, from which a store that lost data can be restored. */
  copy: { refresh(): Promise<void> };
}

export interface RefreshLog {
  error(details: object, message: string): void;
}

/** Keeps the router's memory up to date with the store: by the clock, and soon after each event. */
export class Refresh {
  private readonly timers = new Set<NodeJS.Timeout>();
  private readonly soon = new Map<keyof Readers, NodeJS.Timeout>();

  constructor(
    private readonly readers: Readers,
    private readonly log: RefreshLog,
  ) {}

  start(): void {
    this.timers.add(setInterval(() => void this.read('functions'), FUNCTIONS_EVERY_MS));
    this.timers.add(setInterval(() => void this.read('nodes'), NODES_EVERY_MS));
    this.timers.add(setInterval(() => void this.read('keys'), KEYS_EVERY_MS));
    this.timers.add(setInterval(() => void this.read('copy'), COPY_EVERY_MS));
  }

  /** Reads everything once. Never rejects. */
  async all(): Promise<void> {
    await Promise.all([this.read('functions'), this.read('nodes'), this.read('keys'), this.read('copy')]);
  }

  /** Reads soon, after an event. */
  nudge(what: keyof Readers): void {
    if (what === 'functions' || what === 'keys') this.nudge('copy');
    if (this.soon.has(what)) return;
    const timer = setTimeout(() => {
      this.soon.delete(what);
      void this.read(what);
    }, SETTLE_MS);
    this.soon.set(what, timer);
  }

  stop(): void {
    for (const timer of this.timers) clearInterval(timer);
    for (const timer of this.soon.values()) clearTimeout(timer);
  }

  private async read(what: keyof Readers): Promise<void> {
    try {
      await this.readers[what].refresh();
    } catch (error) {
      // The connection logs an outage, once.
      if (error instanceof KilnError && error.code === 'unavailable') return;
      this.log.error({ err: error }, `${what} could not be read from the store`);
    }
  }
}
