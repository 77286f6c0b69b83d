import { ifThere } from '@kiln/state/store/store';

const EVERY_MS = {
  functions: 2000,
  /** More often, so that a node whose heartbeat has expired is out of use soon. */
  nodes: 500,
  keys: 2000,
  /** The copy of all stored records, from which a store that lost data can be restored. */
  copy: 2000,
};
/** Events within this time cause one read. */
const SETTLE_MS = 20;

type What = keyof typeof EVERY_MS;
const ALL = Object.keys(EVERY_MS) as What[];

/** Keeps the router's memory up to date with the store: by the clock, and soon after each event. */
export class Refresh {
  private readonly timers = new Set<NodeJS.Timeout>();
  private readonly soon = new Map<What, NodeJS.Timeout>();

  constructor(
    private readonly readers: Readonly<Record<What, { refresh(): Promise<void> }>>,
    private readonly log: { error(details: object, message: string): void },
  ) {}

  start(): void {
    for (const what of ALL) this.timers.add(setInterval(() => void this.read(what), EVERY_MS[what]));
  }

  /** Reads everything once. Never rejects. */
  async all(): Promise<void> {
    await Promise.all(ALL.map((what) => this.read(what)));
  }

  /** Reads soon, after an event. */
  nudge(what: What): void {
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

  private async read(what: What): Promise<void> {
    // The connection logs an outage, once.
    await ifThere(this.readers[what].refresh()).catch((error: unknown) => {
      this.log.error({ err: error }, `${what} could not be read from the store`);
    });
  }
}
