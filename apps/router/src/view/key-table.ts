import { hash, timingSafeEqual } from 'node:crypto';
import type { KeyRecord, Scope } from '@kiln/contract/records/records';
import { WrongKeys } from './wrong-keys.js';

/** `kiln_<id>_<secret>`: the id says which record to compare with, so that no list is searched. */
const API_KEY = /^kiln_([A-Za-z0-9]{12})_[A-Za-z0-9]{32,128}$/;
const BEARER = /^bearer +([^\s,]+) *$/i;
const MAX_CHARS = 256;

/** `limited`: the caller has tried too many wrong keys. */
export type KeyVerdict = 'ok' | 'unauthorized' | 'forbidden' | 'limited';

/** The API keys in memory, as hashes. Synchronous, for calls with `auth: key`: a hash takes about 1 µs, so nothing verified is kept. */
export class KeyTable {
  private stored: ReadonlyMap<string, KeyRecord> = new Map();
  readonly fixed: ReadonlyMap<string, KeyRecord>;
  private readonly wrong = new WrongKeys();

  /** @param fixed keys that are there whatever the store holds, as long as this process runs */
  constructor(fixed: readonly KeyRecord[] = []) {
    this.fixed = byId(fixed);
  }

  replace(records: readonly KeyRecord[]): void {
    this.stored = byId(records);
  }

  /** @param address of the caller */
  allows(authorization: string | undefined, scope: Scope, address: string): KeyVerdict {
    if (authorization === undefined) return 'unauthorized';
    const caller = this.callerWith(authorization, address);
    if (this.wrong.exhausted(caller)) return 'limited';
    const record = this.holder(authorization);
    if (record === undefined) {
      this.wrong.note(caller);
      return 'unauthorized';
    }
    return grants(record.scopes, scope) ? 'ok' : 'forbidden';
  }

  /** Whose key it is. */
  holder(authorization: string | undefined): KeyRecord | undefined {
    if (authorization === undefined || authorization.length > MAX_CHARS) return undefined;
    const key = BEARER.exec(authorization)?.[1] ?? '';
    const id = keyId(key);
    if (id === undefined) return undefined;
    const record = this.fixed.get(id) ?? this.stored.get(id);
    return record !== undefined && sameHash(record.hash, hashOf(key)) ? record : undefined;
  }

  /** Who guesses one key keeps nobody at the same address from using another. */
  private callerWith(authorization: string, address: string): string {
    const id = authorization.length > MAX_CHARS ? undefined : keyId(BEARER.exec(authorization)?.[1] ?? '');
    return id !== undefined && (this.fixed.has(id) || this.stored.has(id)) ? `${address} ${id}` : address;
  }

  list(): KeyRecord[] {
    return [...new Map([...this.stored, ...this.fixed]).values()];
  }
}

/** Undefined when it is no key of ours. */
export function keyId(key: string): string | undefined {
  return API_KEY.exec(key)?.[1];
}

/** What is stored of a key. The secret part is random and long: it needs no slow hash. */
export function hashOf(key: string): string {
  return hash('sha256', key, 'hex');
}

function sameHash(stored: string, given: string): boolean {
  const a = Buffer.from(stored, 'latin1');
  const b = Buffer.from(given, 'latin1');
  return a.length === b.length && timingSafeEqual(a, b);
}

/** `admin` includes all, `deploy` includes `read`. */
function grants(scopes: readonly Scope[], wanted: Scope): boolean {
  return scopes.includes(wanted) || scopes.includes('admin') || (wanted === 'read' && scopes.includes('deploy'));
}

function byId(records: readonly KeyRecord[]): Map<string, KeyRecord> {
  return new Map(records.map((record) => [record.id, record]));
}
