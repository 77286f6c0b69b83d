import { setImmediate as turn } from 'node:timers/promises';
import { functionRecord } from '@kiln/contract/records/records';
import type { Snapshot } from '../store/desired-state.js';
import { CHANGE_NOTES, FUNCTIONS, isFunctionName, NUMBERS, versionsKey } from '../store/keys.js';
import { readRecord } from '../store/read-record.js';
import { SingleFlight } from '../store/single-flight.js';
import type { Store } from '../store/store.js';
import { FunctionEntry, type FunctionWithVersions } from './function-entry.js';
import { PACK_VERSIONS, type PackedVersions, type StoredFunction, type StoredFunctions } from './packed-versions.js';

interface Known extends StoredFunction {
  /** Undefined where the record was never one that can be read here. */
  readonly entry?: FunctionEntry | undefined;
}

interface Listing {
  /** The connection through which it was read: through another one there may be another server. */
  connection: number;
  /** The counter as it was read. Whatever is changed later has a higher number. */
  changes: number;
  /** Of one moment. Else some functions may be of a later one, and are read again. */
  steady: boolean;
  byName: Map<string, Known>;
  /** In the order of their names. */
  all: readonly FunctionWithVersions[];
}

/** Changes that come in faster than they are read: what was read last is nearly right, and is read again. */
const ATTEMPTS = 5;
/** Functions that are read in one go: what comes of them keeps nobody else waiting for long. */
const AT_ONCE = 50;

/**
 * All functions with all their versions. After a change the functions that were changed are read, by the notes that stand beside the
 * counter. Where a note is missing (a Kiln of before wrote, too much has changed, another server answers) everything is read. Either
 * way a few functions at a time, with turns for others between them.
 */
export class FunctionList {
  private last: Listing = { connection: -1, changes: -1, steady: true, byName: new Map(), all: [] };
  private readonly reading = new SingleFlight(() => this.readSteady());

  constructor(private readonly store: Store) {}

  /** The same list again, not a copy, while nothing has changed. @throws KilnError `unavailable` */
  async all(): Promise<readonly FunctionWithVersions[]> {
    return (await this.reading.run()).all;
  }

  /** The same as text. @throws KilnError `unavailable` */
  async stored(): Promise<StoredFunctions> {
    return (await this.reading.run()).byName;
  }

  private async readSteady(): Promise<Listing> {
    for (let i = 0; i < ATTEMPTS; i += 1) {
      await this.readOnce();
      if (this.last.steady) break;
    }
    return this.last;
  }

  private async readOnce(): Promise<void> {
    const { connections } = this.store;
    const known = this.last.connection === connections ? this.last.changes : -1;
    const { changes, replies } = await this.store.desired.read((pipeline) => {
      if (known >= 0) pipeline.xrange(CHANGE_NOTES, `${known + 1}-0`, '+');
    });
    if (changes === known) return;
    const noted = known < 0 ? undefined : namesNoted(replies[0], known, changes);
    if (noted === undefined) await this.readAll(connections);
    else await this.readSome(noted, connections, changes);
  }

  private async readAll(connection: number): Promise<void> {
    const { changes, replies } = await this.store.desired.read((pipeline) => pipeline.hkeys(FUNCTIONS).hgetall(NUMBERS));
    const [names, numbers] = replies as [string[], Record<string, string>];
    await turn();
    const { found, steady } = await this.find(names, changes);
    const numbered = Object.entries(numbers).map(([name, number]): [string, Known] => [name, { number }]);
    const all = names.toSorted().flatMap((name) => found.get(name)?.entry ?? []);
    this.last = { connection, changes, steady, byName: new Map([...numbered, ...found]), all };
  }

  private async readSome(names: readonly string[], connection: number, changes: number): Promise<void> {
    const { found, steady } = await this.find(names, changes);
    const { byName } = this.last;
    const all = this.last.all.slice();
    for (const [name, known] of found) {
      place(all, name, known.entry);
      // In place: a copy of a map of this size for each change would keep others waiting.
      byName.set(name, known);
    }
    this.last = { connection, changes, steady, byName, all };
  }

  private async find(names: readonly string[], changes: number): Promise<{ found: Map<string, Known>; steady: boolean }> {
    const found = new Map<string, Known>();
    const safe = names.filter(isFunctionName);
    let steady = true;
    const batches = Array.from({ length: Math.ceil(safe.length / AT_ONCE) }, (_, i) => safe.slice(i * AT_ONCE, (i + 1) * AT_ONCE));
    let coming = batches[0] && this.ask(batches[0]);
    for (const [n, some] of batches.entries()) {
      const read = (await coming) as Snapshot;
      // The store works on the next answer while this one is read.
      const after = batches[n + 1];
      coming = after && this.ask(after);
      steady &&= read.steady && read.changes === changes;
      const [records, numbers, versions] = read.replies as [(string | null)[], (string | null)[], PackedVersions[]];
      for (const [i, name] of some.entries()) {
        const number = numbers[i] ?? undefined;
        found.set(name, { number, ...this.read(name, records[i]!, versions[i]!) });
      }
      await turn();
    }
    return { found, steady };
  }

  private ask(names: readonly string[]): Promise<Snapshot> {
    const answer = this.store.desired.read((pipeline) =>
      pipeline
        .hmget(FUNCTIONS, ...names)
        .hmget(NUMBERS, ...names)
        .callBuffer('EVAL', PACK_VERSIONS, names.length, ...names.map(versionsKey)),
    );
    // Nobody waits for it any more where the one before it could not be read.
    answer.catch(() => undefined);
    return answer;
  }

  private read(name: string, record: string | null, versions: PackedVersions): Known {
    if (record === null) return {};
    const before = this.last.byName.get(name)?.entry;
    // What can't be read any more is not gone: who knew it goes on with what it was.
    const read = readRecord(this.store, functionRecord, record, `${FUNCTIONS} ${name}`) ?? before?.function;
    return { record, versions, entry: read && new FunctionEntry(this.store, read, versions, before) };
  }
}

/** The functions that were changed; undefined where not every change is noted. */
function namesNoted(reply: unknown, from: number, to: number): string[] | undefined {
  const notes = (reply as [string, string[]][]).filter(([id]) => Number(id.split('-')[0]) <= to);
  if (notes.length !== to - from) return undefined;
  return [...new Set(notes.map(([, fields]) => fields[1] ?? ''))].filter((name) => name !== '');
}

/** Into a list that is in the order of names; without an entry, out of it. */
function place(list: FunctionWithVersions[], name: string, entry: FunctionWithVersions | undefined): void {
  let from = 0;
  let to = list.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    if (list[middle]!.function.name < name) from = middle + 1;
    else to = middle;
  }
  const isThere = list[from]?.function.name === name;
  if (entry === undefined) list.splice(from, isThere ? 1 : 0);
  else list.splice(from, isThere ? 1 : 0, entry);
}
