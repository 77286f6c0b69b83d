import { setImmediate as turn } from 'node:timers/promises';
import { KilnError } from '@kiln/contract/errors';
import type { FunctionRecord, VersionRecord } from '@kiln/contract/records/records';

export interface Desired {
  function: FunctionRecord;
  versions: readonly VersionRecord[];
  /** Versions that exist and that this agent can't read. */
  unread?: readonly number[];
}

/** A lookup of an unknown version reads the store at most so often. */
const REFRESH_ON_MISS_MS = 200;
/** Versions that are checked before other work gets its turn. */
const BATCH = 100;

/** All versions of the last read, in memory: a request needs no store. */
export class VersionTable {
  private functions = new Map<string, Desired>();
  /** The last read. */
  all: readonly Desired[] = [];
  private loaded = false;
  private loadedAt = Number.NEGATIVE_INFINITY;
  private loading: Promise<unknown> | undefined;

  constructor(private readonly read: () => Promise<readonly Desired[]>) {}

  /** @throws KilnError `unavailable` where the store is away; the table stays as it was */
  async load(): Promise<readonly Desired[]> {
    const all = await this.read();
    if (all !== this.all) {
      await checkInTurns(all);
      this.functions = new Map(all.map((entry) => [entry.function.name, entry]));
      this.all = all;
    }
    this.loaded = true;
    this.loadedAt = performance.now();
    return all;
  }

  /**
   * Finds a version in memory. Reads the store once for an unknown version, because a router may learn of it a moment earlier.
   * @throws KilnError `function_not_found`, `version_not_found`, or `unavailable` before the first successful read
   */
  async find(name: string, version: number): Promise<VersionRecord> {
    const present = this.lookUp(name, version);
    if (present !== undefined) return present;
    if (performance.now() - this.loadedAt > REFRESH_ON_MISS_MS) await this.refreshOnMiss();
    const found = this.lookUp(name, version);
    if (found !== undefined) return found;
    if (!this.functions.has(name)) throw new KilnError('function_not_found', `there is no function "${name}"`, { fix: 'kiln ls' });
    throw new KilnError('version_not_found', `"${name}" has no version ${version} that could run`);
  }

  private lookUp(name: string, version: number): VersionRecord | undefined {
    const record = this.functions.get(name)?.versions.find((each) => each.version === version);
    return record?.state === 'failed' ? undefined : record;
  }

  private async refreshOnMiss(): Promise<void> {
    this.loading ??= this.load()
      .catch((error: unknown) => {
        // After a first read the table is good enough. Before it, a wrong name and an outage look the same.
        if (!this.loaded) throw error;
      })
      .finally(() => {
        this.loading = undefined;
      });
    await this.loading;
  }
}

/** A version is checked when it is first read: this lets other work run between batches. */
async function checkInTurns(all: readonly Desired[]): Promise<void> {
  let checked = 0;
  for (const { versions } of all) {
    checked += versions.length;
    if (checked < BATCH) continue;
    checked = 0;
    await turn();
  }
}
