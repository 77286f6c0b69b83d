import { KilnError } from '@kiln/contract/errors';

const FUNCTIONS_EVERY_MS = 2000;
const KEYS_EVERY_MS = 2000;
const COPY_EVERY_MS = 2000;
/** More often: a dead node is out of use no later than this after its last sign of life has run out. */
const NODES_EVERY_MS = 500;
/** Events that come in a row cause one read. */
const SETTLE_MS = 20;

export interface Readers {
  functions: { refresh(): Promise<void> };
  nodes: { refresh(): Promise<void> };
  keys: { refresh(): Promise<void> };
  /** What could be written back: everything that is stored. */
  copy: { refresh(): Promise<void> };
}

export interface RefreshLog {
  error(details: object, message: string): void;
}

/** Keeps what the router holds in memory near to what the store holds: from time to time, and soon after an event. */
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

  /** Reads everything once; does not reject. */
  async all(): Promise<void> {
    await Promise.all([this.read('functions'), this.read('nodes'), this.read('keys'), this.read('copy')]);
  }

  /** Something has changed. */
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
      // That the store is away is logged once, where its connection is.
      if (error instanceof KilnError && error.code === 'unavailable') return;
      this.log.error({ err: error }, `cannot read ${what} from the store`);
    }
  }
}
