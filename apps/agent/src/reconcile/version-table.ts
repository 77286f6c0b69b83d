import { setImmediate as turn } from 'node:timers/promises';
import { KilnError } from '@kiln/contract/errors';
import type { FunctionRecord, VersionRecord } from '@kiln/contract/records/records';

export interface Desired {
  function: FunctionRecord;
  versions: readonly VersionRecord[];
  /** Versions that are there and can't be read here. */
  unread?: readonly number[];
}

/** A look-up of something unknown asks the store at most this often. */
const REFRESH_ON_MISS_MS = 200;
/** Versions that are checked before others have their turn. */
const AT_ONCE = 100;

/** All versions as the store had them last, in memory: a request needs no store. */
export class VersionTable {
  private functions = new Map<string, Desired>();
  /** As the store had it last. */
  all: readonly Desired[] = [];
  private loaded = false;
  private loadedAt = Number.NEGATIVE_INFINITY;
  private loading: Promise<void> | undefined;

  constructor(private readonly read: () => Promise<readonly Desired[]>) {}

  /** @throws KilnError `unavailable` where the store is away; the table stays as it was */
  async load(): Promise<readonly Desired[]> {
    const all = await this.read();
    if (all !== this.all) await checkInTurns(all);
    this.replace(all);
    return all;
  }

  /**
   * From memory; what is unknown is looked up once, for a router may know of it a moment earlier.
   * @throws KilnError `function_not_found`, `version_not_found`, or `unavailable` where nothing was ever read
   */
  async find(name: string, version: number): Promise<VersionRecord> {
    const known = this.known(name, version);
    if (known !== undefined) return known;
    if (performance.now() - this.loadedAt > REFRESH_ON_MISS_MS) await this.refreshOnMiss();
    const found = this.known(name, version);
    if (found !== undefined) return found;
    if (!this.functions.has(name)) throw new KilnError('function_not_found', `there is no function "${name}"`, { fix: 'kiln ls' });
    throw new KilnError('version_not_found', `"${name}" has no version ${version} that could run`);
  }

  private known(name: string, version: number): VersionRecord | undefined {
    const record = this.functions.get(name)?.versions.find((each) => each.version === version);
    return record?.state === 'failed' ? undefined : record;
  }

  private async refreshOnMiss(): Promise<void> {
    this.loading ??= this.load()
      .then(
        () => undefined,
        (error: unknown) => {
          // Who has read it once goes by that; who never has can't tell a wrong name from an outage.
          if (!this.loaded) throw error;
        },
      )
      .finally(() => {
        this.loading = undefined;
      });
    await this.loading;
  }

  private replace(all: readonly Desired[]): void {
    if (all !== this.all) this.functions = new Map(all.map((entry) => [entry.function.name, entry]));
    this.all = all;
    this.loaded = true;
    this.loadedAt = performance.now();
  }
}

/** Versions are checked when somebody asks for them: not all of them at once. */
async function checkInTurns(all: readonly Desired[]): Promise<void> {
  let checked = 0;
  for (const { versions } of all) {
    checked += versions.length;
    if (checked < AT_ONCE) continue;
    checked = 0;
    await turn();
  }
}
