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

/** All versions as the store had them last, in memory: a request needs no store. */
export class VersionTable {
  private functions = new Map<string, ReadonlyMap<number, VersionRecord>>();
  /** As the store had it last. */
  all: readonly Desired[] = [];
  private loaded = false;
  private loadedAt = Number.NEGATIVE_INFINITY;
  private loading: Promise<void> | undefined;

  constructor(private readonly read: () => Promise<readonly Desired[]>) {}

  /** @throws KilnError `unavailable` where the store is away; the table stays as it was */
  load(): Promise<readonly Desired[]> {
    return this.read().then((all) => {
      this.replace(all);
      return all;
    });
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
    const record = this.functions.get(name)?.get(version);
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
    this.functions = new Map(
      all.map(({ function: { name }, versions }) => [name, new Map(versions.map((record) => [record.version, record]))]),
    );
    this.all = all;
    this.loaded = true;
    this.loadedAt = performance.now();
  }
}
