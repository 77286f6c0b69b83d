import { EnvironmentError } from '@kiln/contract/config/environment';
import { KilnError } from '@kiln/contract/errors';
import type { MasterKeyRecord } from '@kiln/contract/records/secrets';
import { keyOf, type MasterKeys } from './master-key.js';

const ATTEMPTS = 10;

/** The store of the cluster's master key record. */
export interface MasterKeyStore {
  masterKey(): Promise<MasterKeyRecord | undefined>;
  /** False when another process has changed the record first. */
  replaceMasterKey(before: MasterKeyRecord | undefined, after: MasterKeyRecord): Promise<boolean>;
}

/**
 * Compares this process's keys with the cluster's. The first key ever becomes the cluster's.
 * @throws EnvironmentError for a wrong or missing key, KilnError `unavailable` when the store is away
 */
export async function checkMasterKeys(store: MasterKeyStore, keys: MasterKeys | undefined): Promise<void> {
  for (let i = 0; i < ATTEMPTS; i += 1) {
    const record = await store.masterKey();
    if (record !== undefined) return requireKeys(record, keys);
    if (keys === undefined || (await store.replaceMasterKey(undefined, { keyId: keys.own.id }))) return;
  }
  throw new EnvironmentError('the record of the master key in Redis (kiln:master-key) is broken: put back a copy of the store');
}

/**
 * The same at the start of a process, which must start without the store too: then a wrong key fails when a secret is sealed or opened.
 * @throws EnvironmentError for a wrong or missing key
 */
export async function checkMasterKeysAtStart(
  store: MasterKeyStore,
  keys: MasterKeys | undefined,
  onAway: (message: string) => void,
): Promise<void> {
  try {
    await checkMasterKeys(store, keys);
  } catch (error) {
    if (!(error instanceof KilnError) || error.code !== 'unavailable') throw error;
    onAway(`the master key could not be compared with the cluster’s: ${error.message}`);
  }
}

function requireKeys({ keyId, previousKeyId }: MasterKeyRecord, keys: MasterKeys | undefined): void {
  if (keys === undefined) {
    throw new EnvironmentError(`KILN_MASTER_KEY is not set, and this cluster's secrets are sealed with the master key ${keyId}: ${FIX}`);
  }
  const { own, source } = keys;
  if (keyOf(keys, keyId) === undefined) {
    throw new EnvironmentError(`${source} holds the master key ${own.id}, and this cluster's secrets are sealed with ${keyId}: ${FIX}`);
  }
  if (previousKeyId !== undefined && keyOf(keys, previousKeyId) === undefined) {
    throw new EnvironmentError(
      `KILN_MASTER_KEY_PREVIOUS is not the master key ${previousKeyId}, and some secrets are still sealed with it: ` +
        'set it, and finish the change of keys with `kiln secrets rotate`',
    );
  }
}

const FIX =
  'give every router and agent the same key, as KILN_MASTER_KEY or in KILN_HOME/master.key (where the first `kiln up` wrote it). ' +
  'To change the key, give the old one as KILN_MASTER_KEY_PREVIOUS. If it is lost, see "A lost master key" in SECURITY.md';
