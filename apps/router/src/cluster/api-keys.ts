import { randomInt } from 'node:crypto';
import type { CreatedKey, KeyView } from '@kiln/contract/api/control-api';
import { KilnError } from '@kiln/contract/errors';
import type { KeyRecord, Scope } from '@kiln/contract/records/records';
import { KEY_CHANGED } from '@kiln/contract/wire/events';
import type { KeyStore } from '@kiln/state/key-store';
import { SingleFlight } from '@kiln/state/store/single-flight';
import type { EventSender } from '../view/announcer.js';
import { hashOf, type KeyTable, keyId } from '../view/key-table.js';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const ID_CHARS = 12;
const SECRET_CHARS = 40;
const MAX_KEYS = 1000;

/** API keys: made, listed, removed. */
export class Keys {
  private readonly reading = new SingleFlight(async () => this.table.replace(await this.store.list()));

  constructor(
    private readonly store: KeyStore,
    private readonly table: KeyTable,
    private readonly events: EventSender,
  ) {}

  /** @throws KilnError `unavailable`; the keys that were known stay. */
  refresh(): Promise<void> {
    return this.reading.run();
  }

  list(): KeyView[] {
    return this.table
      .list()
      .map(view)
      .sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  async create(name: string, scopes: Scope[]): Promise<CreatedKey> {
    if (this.table.list().length >= MAX_KEYS) {
      throw new KilnError('conflict', `there are ${MAX_KEYS} keys already`, { fix: 'remove some that are not needed: kiln keys rm <id>' });
    }
    const id = random(ID_CHARS);
    const apiKey = `kiln_${id}_${random(SECRET_CHARS)}`;
    const record: KeyRecord = { id, name, scopes: [...new Set(scopes)], hash: hashOf(apiKey), createdAt: new Date().toISOString() };
    await this.store.put(record);
    await this.changed(id);
    return { ...view(record), apiKey };
  }

  /** @throws KilnError `not_found`, or `conflict` for the key that the router was started with */
  async remove(id: string): Promise<void> {
    if (this.table.fixed.has(id)) {
      throw new KilnError('conflict', `key "${id}" is set by KILN_ADMIN_KEY`, { fix: 'start the routers with another one' });
    }
    if (!(await this.store.remove(id))) throw new KilnError('not_found', `there is no key "${id}"`, { fix: 'kiln keys ls' });
    await this.changed(id);
  }

  private async changed(id: string): Promise<void> {
    await Promise.all([this.refresh(), this.events.emit(KEY_CHANGED, { id })]);
  }
}

/** The key that the router is started with, which is never stored. @throws KilnError when it has not the form of a key */
export function adminKey(key: string): KeyRecord {
  const id = keyId(key);
  if (id === undefined) throw new KilnError('bad_request', 'the admin key must be kiln_<12 letters or digits>_<32 or more of them>');
  return { id, name: 'KILN_ADMIN_KEY', scopes: ['admin'], hash: hashOf(key), createdAt: new Date().toISOString() };
}

function view({ id, name, scopes, createdAt }: KeyRecord): KeyView {
  return { id, name, scopes, createdAt };
}

function random(chars: number): string {
  return Array.from({ length: chars }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
}
