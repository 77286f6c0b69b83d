import { isDeepStrictEqual } from 'node:util';
import { KilnError } from '@kiln/contract/errors';
import {
  type MasterKeyRecord,
  masterKeyRecord,
  type SealedValue,
  type SecretRecord,
  type SecretRevision,
  sealedValue,
  secretRecord,
} from '@kiln/contract/records/secrets';
import { untilFirst } from '../store/desired-state.js';
import { CHANGES, checkedSecret, MASTER_KEY, revisionOfField, SECRET_NUMBERS, SECRET_VALUES, SECRETS, valueField } from '../store/keys.js';
import { readForChange, readRecord, readRecords } from '../store/read-record.js';
import type { Store } from '../store/store.js';
import { DROP_VALUES, PUT_SECRETS, REMOVE_SECRET, REPLACE_MASTER_KEY, REPLACE_VALUE } from './secret-scripts.js';

const MAX_SECRETS = 1000;
/** What stays is tried again with the next change. */
const DROP_ATTEMPTS = 10;

/** Secrets, of which only sealed values ever come here. */
export class SecretStore {
  constructor(private readonly store: Store) {}

  async list(): Promise<SecretRecord[]> {
    const hash = await this.store.desired.hash(SECRETS);
    return readRecords(this.store, secretRecord, hash, SECRETS).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Those of them that are stored. */
  async get(names: readonly string[]): Promise<SecretRecord[]> {
    if (names.length === 0) return [];
    return (await this.fields(SECRETS, names.map(checkedSecret)))
      .map((text, i) => readRecord(this.store, secretRecord, text, `${SECRETS} ${names[i]}`))
      .filter((record) => record !== undefined);
  }

  /** In the order asked for; undefined for what is not stored any more. */
  async values(revisions: readonly SecretRevision[]): Promise<(SealedValue | undefined)[]> {
    if (revisions.length === 0) return [];
    const fields = revisions.map(valueField);
    return (await this.fields(SECRET_VALUES, fields)).map((text, i) =>
      readRecord(this.store, sealedValue, text, `${SECRET_VALUES} ${fields[i]}`),
    );
  }

  /** Stores the next revision of each or none. `sealWith` gets the cluster's key id. @throws KilnError `conflict` for too many secrets */
  put(names: readonly string[], sealWith: (keyId: string) => (revision: SecretRevision) => SealedValue): Promise<SecretRecord[]> {
    return untilFirst('secrets', async () => {
      const { replies } = await this.store.desired.read((pipeline) => pipeline.get(MASTER_KEY).hlen(SECRETS));
      const [keyRaw, known] = replies as [string | null, number];
      const before = await this.forChange(names);
      if (known + names.length - before.size > MAX_SECRETS) {
        throw new KilnError('conflict', `there can be at most ${MAX_SECRETS} secrets`, { fix: 'remove some: kiln secrets rm <name>' });
      }
      const seal = sealWith(this.keyRecord(keyRaw)?.keyId ?? '');
      const numbers = await this.fields(SECRET_NUMBERS, names);
      const now = new Date().toISOString();
      const records = names.map((name, i) => {
        const revision = Number(numbers[i] ?? 0) + 1;
        return { createdAt: now, ...before.get(name), name, revision, updatedAt: now };
      });
      const values = records.flatMap((record, i) => [
        ...[record.name, numbers[i] ?? '', record.revision, JSON.stringify(record), valueField(record), JSON.stringify(seal(record))],
      ]);
      const keys = [SECRETS, SECRET_VALUES, SECRET_NUMBERS, MASTER_KEY];
      const done = await this.store.desired.change(PUT_SECRETS, keys, [keyRaw ?? '', ...values]);
      return done === 1 ? records : undefined;
    });
  }

  /**
   * Removes a secret with all its values; false when there was none. `mustBeFree` throws while something needs it: whatever
   * functions change meanwhile, it has looked at them as they are when the secret goes.
   */
  remove(name: string, mustBeFree: () => Promise<void>): Promise<boolean> {
    const start = `${checkedSecret(name)}@`;
    const keys = [SECRETS, SECRET_VALUES];
    return untilFirst('secrets', async () => {
      const changes = (await this.text(CHANGES)) ?? '';
      await mustBeFree();
      const done = await this.store.desired.change(REMOVE_SECRET, keys, [name, changes, start]);
      return done === -1 ? undefined : done === 1;
    });
  }

  /** Removes every value that is neither its secret's newest nor needed; none where something changes all the time. */
  async dropOthers(needed: () => Promise<readonly SecretRevision[]>): Promise<void> {
    for (let i = 0; i < DROP_ATTEMPTS; i += 1) if (await this.tryToDropOthers(needed)) return;
  }

  private async tryToDropOthers(needed: () => Promise<readonly SecretRevision[]>): Promise<boolean> {
    const changes = (await this.text(CHANGES)) ?? '';
    // In this order: a revision that is stored meanwhile is in neither list and stays.
    const stored = await this.revisions();
    if (stored.length === 0) return true;
    const keep = new Set([...(await needed()), ...(await this.list())].map(valueField));
    const fields = stored.map(valueField).filter((field) => !keep.has(field));
    if (fields.length === 0) return true;
    return (await this.store.desired.change(DROP_VALUES, [SECRET_VALUES], [changes, ...fields])) === 1;
  }

  /** Every revision of which the value is stored. */
  async revisions(): Promise<SecretRevision[]> {
    return (await this.store.desired.readOne<string[]>((pipeline) => pipeline.hkeys(SECRET_VALUES))).map(revisionOfField);
  }

  /** Replaces a value that `change` gives another; false where it gave none. */
  replaceValue(revision: SecretRevision, change: (before: SealedValue) => SealedValue | undefined): Promise<boolean> {
    const field = valueField(revision);
    return untilFirst('secrets', async () => {
      const [raw = null] = await this.fields(SECRET_VALUES, [field]);
      const before = readForChange(this.store, sealedValue, raw, `${SECRET_VALUES} ${field}`);
      const after = before === undefined ? undefined : change(before);
      if (raw === null || after === undefined) return false;
      const values = [field, raw, JSON.stringify(after)];
      return (await this.store.desired.change(REPLACE_VALUE, [SECRET_VALUES], values)) === 1 ? true : undefined;
    });
  }

  async masterKey(): Promise<MasterKeyRecord | undefined> {
    return this.keyRecord(await this.text(MASTER_KEY));
  }

  /** False when it is not what was read. */
  async replaceMasterKey(before: MasterKeyRecord | undefined, after: MasterKeyRecord): Promise<boolean> {
    const raw = await this.text(MASTER_KEY);
    if (!isDeepStrictEqual(this.keyRecord(raw), before)) return false;
    if (before !== undefined) readForChange(this.store, masterKeyRecord, raw, MASTER_KEY);
    const values = [before === undefined ? '' : (raw ?? ''), JSON.stringify(after)];
    return (await this.store.desired.change(REPLACE_MASTER_KEY, [MASTER_KEY], values)) === 1;
  }

  /** By name, those of them that are stored. @throws KilnError `conflict` */
  private async forChange(names: readonly string[]): Promise<Map<string, SecretRecord>> {
    const texts = await this.fields(SECRETS, names.map(checkedSecret));
    const records = texts.map((text, i) => readForChange(this.store, secretRecord, text, `${SECRETS} ${names[i]}`));
    return new Map(records.filter((record) => record !== undefined).map((record) => [record.name, record]));
  }

  private keyRecord(raw: string | null): MasterKeyRecord | undefined {
    return readRecord(this.store, masterKeyRecord, raw, MASTER_KEY);
  }

  private text(key: string): Promise<string | null> {
    return this.store.desired.readOne((pipeline) => pipeline.get(key));
  }

  private fields(key: string, fields: readonly string[]): Promise<(string | null)[]> {
    return this.store.desired.readOne((pipeline) => pipeline.hmget(key, ...fields));
  }
}
