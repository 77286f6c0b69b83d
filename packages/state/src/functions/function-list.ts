import { type FunctionRecord, functionRecord, type VersionRecord, versionRecord } from '@kiln/contract/records/records';
import type { SecretRevision } from '@kiln/contract/records/secrets';
import { FUNCTIONS, isFunctionName, NUMBERS, versionsKey } from '../store/keys.js';
import { readLoosely, readRecord } from '../store/read-record.js';
import type { Store } from '../store/store.js';

export interface FunctionWithVersions {
  function: FunctionRecord;
  versions: VersionRecord[];
  /** Versions that are there and that this version of Kiln can not read: they are not served here. Left out where there is none. */
  unread?: number[];
}

/** What a stored version needs so that it can run again, whether or not the rest of its record can be read. */
export interface VersionNeeds {
  function: string;
  version: number;
  image: string;
  createdAt: string;
  secretRevisions: SecretRevision[];
}

/** The records as they are stored: text that this version of Kiln need not understand. */
export interface StoredFunctions {
  functions: Record<string, string>;
  /** By function. */
  versions: Record<string, Record<string, string>>;
  numbers: Record<string, string>;
}

interface Listing {
  key: string;
  all: readonly FunctionWithVersions[];
  stored: StoredFunctions;
}

/** Changes that come in faster than everything is read: what was read last is nearly right, and is read again. */
const ATTEMPTS = 5;
const NOTHING: Listing = { key: '', all: [], stored: { functions: {}, versions: {}, numbers: {} } };

/** All functions with all their versions, read anew only when something has changed. */
export class FunctionList {
  private last = NOTHING;

  constructor(private readonly store: Store) {}

  /** The same list again, not a copy, while nothing has changed. @throws KilnError `unavailable` */
  async all(): Promise<readonly FunctionWithVersions[]> {
    return (await this.current()).all;
  }

  /** The same as text. @throws KilnError `unavailable` */
  async stored(): Promise<StoredFunctions> {
    return (await this.current()).stored;
  }

  /** Of every version that is stored. @throws KilnError `unavailable` */
  async needs(): Promise<VersionNeeds[]> {
    const { versions } = await this.stored();
    return Object.entries(versions).flatMap(([name, hash]) =>
      Object.entries(hash).map(([field, raw]) => needsOf(name, Number(field), raw)),
    );
  }

  private async current(): Promise<Listing> {
    const { changes } = await this.store.desired.read(() => undefined);
    const key = this.keyAt(changes);
    if (key !== this.last.key) this.last = await this.readAll();
    return this.last;
  }

  private async readAll(): Promise<Listing> {
    for (let i = 1; ; i += 1) {
      const first = await this.store.desired.read((pipeline) => pipeline.hgetall(FUNCTIONS).hgetall(NUMBERS));
      const [functions, numbers] = first.replies as Record<string, string>[];
      const names = Object.keys(functions!).filter(isFunctionName);
      const second = await this.store.desired.read((pipeline) => {
        for (const name of names) pipeline.hgetall(versionsKey(name));
      });
      const steady = second.steady && second.changes === first.changes;
      if (!steady && i < ATTEMPTS) continue;
      const versions = Object.fromEntries(names.map((name, n) => [name, second.replies[n] as Record<string, string>]));
      const stored = { functions: functions!, versions, numbers: numbers! };
      // What was read of two moments is read again.
      return { key: steady ? this.keyAt(first.changes) : '', all: this.parsed(names, stored), stored };
    }
  }

  private parsed(names: readonly string[], { functions, versions }: StoredFunctions): FunctionWithVersions[] {
    const before = new Map(this.last.all.map((entry) => [entry.function.name, entry]));
    return names.toSorted().flatMap((name) => {
      // What can't be read any more is not gone: who knew it goes on with what it was.
      const record = readRecord(this.store, functionRecord, functions[name], `${FUNCTIONS} ${name}`) ?? before.get(name)?.function;
      return record === undefined ? [] : [this.entryOf(record, versions[name]!, before.get(name))];
    });
  }

  private entryOf(record: FunctionRecord, hash: Record<string, string>, before: FunctionWithVersions | undefined): FunctionWithVersions {
    const key = versionsKey(record.name);
    const versions: VersionRecord[] = [];
    const unread: number[] = [];
    for (const [field, raw] of Object.entries(hash)) {
      const known =
        readRecord(this.store, versionRecord, raw, `${key} ${field}`) ?? before?.versions.find(({ version }) => String(version) === field);
      if (known !== undefined) versions.push(known);
      else unread.push(Number(field));
    }
    versions.sort((a, b) => a.version - b.version);
    return { function: record, versions, ...(unread.length > 0 && { unread }) };
  }

  private keyAt(changes: number): string {
    return `${this.store.connections} ${changes}`;
  }
}

function needsOf(name: string, version: number, raw: string): VersionNeeds {
  const { image, createdAt, secretRevisions } = readLoosely(raw);
  const revisions = typeof secretRevisions === 'object' && secretRevisions !== null ? Object.entries(secretRevisions) : [];
  return {
    function: name,
    version,
    image: typeof image === 'string' ? image : '',
    createdAt: typeof createdAt === 'string' ? createdAt : new Date(0).toISOString(),
    secretRevisions: revisions.map(([secret, revision]) => ({ name: secret, revision: Number(revision) })),
  };
}
