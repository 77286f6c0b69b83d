import { type KeyRecord, keyRecord } from '@kiln/contract/records/records';
import { checkedKeyId, KEYS } from './store/keys.js';
import { readRecords } from './store/read-record.js';
import { PUT_FIELD, REMOVE_FIELD } from './store/scripts.js';
import type { Store } from './store/store.js';

/** API keys. Redis holds only their hashes. */
export class KeyStore {
  constructor(private readonly store: Store) {}

  async list(): Promise<KeyRecord[]> {
    const hash = await this.store.desired.hash(KEYS);
    return readRecords(this.store, keyRecord, hash, KEYS).sort((a, b) => (a.createdAt < b.createdAt ? -1 : 1));
  }

  async put(record: KeyRecord): Promise<void> {
    await this.store.desired.change(PUT_FIELD, [KEYS], [checkedKeyId(record.id), JSON.stringify(record)]);
  }

  /** False if there was no such key. */
  async remove(id: string): Promise<boolean> {
    return (await this.store.desired.change(REMOVE_FIELD, [KEYS], [checkedKeyId(id)])) === 1;
  }
}
