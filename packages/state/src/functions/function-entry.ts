import { type FunctionRecord, type VersionRecord, versionRecord } from '@kiln/contract/records/records';
import { versionsKey } from '../store/keys.js';
import { readRecord } from '../store/read-record.js';
import type { Store } from '../store/store.js';
import { type PackedVersions, pack, unpack } from './packed-versions.js';

export interface FunctionWithVersions {
  readonly function: FunctionRecord;
  /** In order. */
  readonly versions: readonly VersionRecord[];
  /** Versions that are there and that this version of Kiln can not read: they are not served here. Undefined where there is none. */
  readonly unread?: readonly number[] | undefined;
}

/** What was known of a function's versions: as they were read, and what was never read. */
interface Knowledge {
  known: readonly VersionRecord[];
  packed?: PackedVersions;
}

type ReadVersions = Pick<FunctionWithVersions, 'versions' | 'unread'>;

/** A function whose versions are read when somebody asks for them. Nobody asks for most of them, and to read all would take long. */
export class FunctionEntry implements FunctionWithVersions {
  readonly function: FunctionRecord;
  private read: ReadVersions | undefined;
  /** What was known of its versions before: records that can't be read any more stay what they were. */
  private before: Knowledge | undefined;

  constructor(
    private readonly store: Store,
    record: FunctionRecord,
    private readonly packed: PackedVersions,
    before: FunctionEntry | undefined,
  ) {
    this.function = record;
    this.before = before?.knowledge();
  }

  get versions(): readonly VersionRecord[] {
    return this.readOnce().versions;
  }

  get unread(): readonly number[] | undefined {
    return this.readOnce().unread;
  }

  /** Of one that was never read, the text: it may have been one that could be read. */
  private knowledge(): Knowledge {
    if (this.read !== undefined) return { known: this.read.versions };
    const { known = [], packed } = this.before ?? {};
    if (packed === undefined || packed.equals(this.packed)) return { known, packed: this.packed };
    return { known, packed: pack({ ...unpack(packed), ...unpack(this.packed) }) };
  }

  private readOnce(): ReadVersions {
    if (this.read !== undefined) return this.read;
    const versions: VersionRecord[] = [];
    const unread: number[] = [];
    const before = this.before?.packed && unpack(this.before.packed);
    for (const [field, text] of Object.entries(unpack(this.packed))) {
      const record = this.record(field, text) ?? this.earlier(field, before?.[field]);
      if (record !== undefined) versions.push(record);
      else unread.push(Number(field));
    }
    versions.sort((a, b) => a.version - b.version);
    this.before = undefined;
    this.read = { versions, unread: unread.length > 0 ? unread : undefined };
    return this.read;
  }

  private record(field: string, text: string): VersionRecord | undefined {
    return readRecord(this.store, versionRecord, text, `${versionsKey(this.function.name)} ${field}`);
  }

  private earlier(field: string, text: string | undefined): VersionRecord | undefined {
    const read = text === undefined ? undefined : this.record(field, text);
    return read ?? this.before?.known.find(({ version }) => String(version) === field);
  }
}
