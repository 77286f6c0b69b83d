import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { KilnError } from '@kiln/contract/errors';
import type { MasterKeyRecord } from '@kiln/contract/records/secrets';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkMasterKeys, checkMasterKeysAtStart, type MasterKeyStore } from './check-master-keys.js';
import { type MasterKey, type MasterKeys, parseMasterKey } from './master-key.js';
import { readMasterKeys } from './read-master-keys.js';
import { open, seal } from './seal.js';

const newKey = () => parseMasterKey(randomBytes(32).toString('hex')) as MasterKey;
const keysOf = (own: MasterKey, previous?: MasterKey): MasterKeys => ({ own, previous, source: 'KILN_MASTER_KEY' });

describe('a master key', () => {
  it('is the same key in base64, without its padding, and in hex of either case', () => {
    const bytes = randomBytes(32);
    const ids = [
      bytes.toString('base64'),
      bytes.toString('base64').slice(0, -1),
      bytes.toString('hex'),
      `${bytes.toString('hex').toUpperCase()}\n`,
    ];
    expect(new Set(ids.map((text) => parseMasterKey(text)?.id)).size).toBe(1);
    expect(parseMasterKey(ids[0] as string)?.id).toMatch(/^[0-9a-f]{12}$/);
  });

  it.each([
    '',
    'x',
    'a'.repeat(32),
    'f'.repeat(63),
    'f'.repeat(66),
    randomBytes(31).toString('base64'),
    randomBytes(33).toString('base64'),
  ])('is not %j', (text) => {
    expect(parseMasterKey(text)).toBeUndefined();
  });

  it('is shown by nothing that prints it', () => {
    const bytes = randomBytes(32);
    const key = parseMasterKey(bytes.toString('hex'));
    for (const shown of [JSON.stringify(key), inspect(key, { depth: 9, showHidden: true }), String(key)]) {
      expect(shown).not.toContain(bytes.toString('hex').slice(0, 16));
      expect(shown).not.toContain(bytes.toString('base64').slice(0, 16));
    }
  });
});

describe('where keys come from', () => {
  let home: string;
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'kiln-secrets-'));
  });
  afterEach(() => rmSync(home, { recursive: true, force: true }));

  const hex = randomBytes(32).toString('hex');
  const read = (own?: string, previous?: string) => readMasterKeys({ home, own, previous });
  const write = (name: string, text: string, mode = 0o600) => {
    writeFileSync(join(home, name), text);
    chmodSync(join(home, name), mode);
  };

  it('is the variable, else the file of the home, else nowhere', () => {
    expect(read()).toBeUndefined();
    write('master.key', `${randomBytes(32).toString('base64')}\n`);
    expect(read()?.source).toBe(join(home, 'master.key'));
    expect(read(hex)).toMatchObject({ source: 'KILN_MASTER_KEY', own: { id: parseMasterKey(hex)?.id } });
    write('master.key.previous', hex);
    expect(read()?.previous?.id).toBe(parseMasterKey(hex)?.id);
  });

  it('is refused by name where it is wrong, and its text is not told', () => {
    expect(() => read('not-a-key')).toThrowError(/^KILN_MASTER_KEY is \(hidden\): must be 32 bytes/);
    expect(() => read(undefined, hex)).toThrowError(/KILN_MASTER_KEY_PREVIOUS .* there is no KILN_MASTER_KEY/);
    write('master.key', 'rubbish');
    expect(() => read()).toThrowError(/master\.key holds no master key/);
    write('master.key', hex, 0o640);
    expect(() => read()).toThrowError(/master\.key can be read by others: chmod 600/);
  });
});

describe('a sealed value', () => {
  const key = newKey();
  const where = { name: 'TOKEN', revision: 3 };

  it('opens as what it was, whatever it holds', () => {
    for (const value of ['x', 'a\nb=c "d"', 'ü€😀', 'y'.repeat(65_536)]) expect(open(seal(value, key, where), key, where)).toBe(value);
  });

  it('is never the same twice, and holds nothing of the value', () => {
    const [one, two] = [seal('the value itself', key, where), seal('the value itself', key, where)];
    expect(one.nonce).not.toBe(two.nonce);
    expect(one.data).not.toBe(two.data);
    expect(Buffer.from(one.data, 'base64').toString('latin1')).not.toContain('value');
  });

  it('opens with no other key, name or revision, and not when a bit of it is changed', () => {
    const sealed = seal('v', key, where);
    const other = newKey();
    expect(open(sealed, other, where)).toBeUndefined();
    expect(open({ ...sealed, keyId: other.id }, other, where)).toBeUndefined();
    expect(open(sealed, key, { ...where, name: 'TOKE' })).toBeUndefined();
    expect(open(sealed, key, { ...where, revision: 2 })).toBeUndefined();
    for (const field of ['data', 'nonce'] as const) {
      const bytes = Buffer.from(sealed[field], 'base64');
      for (let i = 0; i < bytes.length; i += 1) {
        const changed = Buffer.from(bytes);
        changed[i] = (changed[i] as number) ^ 1;
        expect(open({ ...sealed, [field]: changed.toString('base64') }, key, where)).toBeUndefined();
      }
    }
    expect(open({ ...sealed, data: '' }, key, where)).toBeUndefined();
    expect(open({ ...sealed, data: Buffer.from(sealed.data, 'base64').subarray(0, -1).toString('base64') }, key, where)).toBeUndefined();
  });
});

describe('the cluster’s master key', () => {
  let record: MasterKeyRecord | undefined;
  const store: MasterKeyStore = {
    masterKey: async () => record,
    replaceMasterKey: async (before, after) => {
      if (JSON.stringify(before) !== JSON.stringify(record)) return false;
      record = after;
      return true;
    },
  };
  beforeEach(() => {
    record = undefined;
  });

  it('is the first that is ever given', async () => {
    const key = newKey();
    await checkMasterKeys(store, undefined);
    expect(record).toBeUndefined();
    await checkMasterKeys(store, keysOf(key));
    await checkMasterKeys(store, keysOf(key));
    expect(record).toEqual({ keyId: key.id });
  });

  it('refuses another and none, and says where it came from and what to do', async () => {
    record = { keyId: 'abc' };
    const key = newKey();
    await expect(checkMasterKeys(store, keysOf(key))).rejects.toThrowError(
      new RegExp(`^KILN_MASTER_KEY holds the master key ${key.id}, and .* sealed with abc: give every router and agent the same key`),
    );
    await expect(checkMasterKeys(store, undefined)).rejects.toThrowError(/^KILN_MASTER_KEY is not set/);
  });

  it('may be the one before while keys are changed, and asks for both until the change is done', async () => {
    const [old, young] = [newKey(), newKey()];
    record = { keyId: old.id };
    await checkMasterKeys(store, keysOf(young, old));
    record = { keyId: young.id, previousKeyId: old.id };
    await checkMasterKeys(store, keysOf(young, old));
    await expect(checkMasterKeys(store, keysOf(young))).rejects.toThrowError(/KILN_MASTER_KEY_PREVIOUS is not .*kiln secrets rotate/);
  });

  it('is asked for no further at the start while the store is away', async () => {
    const said: string[] = [];
    const away: MasterKeyStore = {
      masterKey: () => Promise.reject(new KilnError('unavailable', 'the store does not answer')),
      replaceMasterKey: async () => false,
    };
    await checkMasterKeysAtStart(away, keysOf(newKey()), (message) => said.push(message));
    expect(said).toEqual([expect.stringMatching(/could not be compared .* the store does not answer/)]);
  });
});
