import { KilnError } from '@kiln/contract/errors';
import type { MasterKeyRecord, SecretsRotated } from '@kiln/contract/records/secrets';
import { keyOf, type MasterKeys } from '@kiln/secrets/master-key';
import { open, seal } from '@kiln/secrets/seal';
import type { SecretStore } from '@kiln/state/secrets/secret-store';
import type { NodeTable } from '../placement/node-table.js';

const ATTEMPTS = 10;

export interface RotateParts {
  store: SecretStore;
  nodes: NodeTable;
  keys: MasterKeys | undefined;
}

/**
 * Seals every value anew with the key that this router was started with. From the first step on new values are sealed with it
 * too; both keys are needed until the last. May be run again wherever it was cut off. Here, and nowhere else in a router, values
 * are opened: one after the other, in memory only.
 * @throws KilnError `conflict` when a node or this router has not both keys, and nothing has changed
 */
export async function rotateSecrets({ store, nodes, keys }: RotateParts): Promise<SecretsRotated> {
  if (keys === undefined) throw new KilnError('conflict', 'this router has no master key', { fix: HOW });
  const { own } = keys;
  await beginWith(own.id, { store, nodes, keys });
  const unreadable: string[] = [];
  let resealed = 0;
  for (const revision of await store.revisions()) {
    const changed = await store.replaceValue(revision, (sealed) => {
      if (sealed.keyId === own.id) return undefined;
      const key = keyOf(keys, sealed.keyId);
      const value = key && open(sealed, key, revision);
      if (value === undefined) unreadable.push(`${revision.name}@${revision.revision}`);
      return value === undefined ? undefined : { ...sealed, ...seal(value, own, revision) };
    });
    if (changed) resealed += 1;
  }
  const now = await store.masterKey();
  if (now?.keyId === own.id) {
    const { previousKeyId: _previous, ...record } = now;
    await store.replaceMasterKey(now, record);
  }
  return { keyId: own.id, resealed, unreadable };
}

/** Makes the key the cluster's own, unless it is already. */
async function beginWith(keyId: string, { store, nodes, keys }: RotateParts): Promise<void> {
  for (let i = 0; i < ATTEMPTS; i += 1) {
    const before = await store.masterKey();
    if (before?.keyId === keyId) return;
    if (before !== undefined && keyOf(keys, before.keyId) === undefined) {
      throw new KilnError('conflict', `this router has not the master key ${before.keyId}, which secrets are sealed with`, { fix: HOW });
    }
    const without = nodes.live().filter(({ record }) => !record.masterKeys?.includes(keyId));
    if (without.length > 0) {
      const names = without.map(({ record }) => record.id).join(', ');
      throw new KilnError('conflict', `the new master key ${keyId} is not known yet to ${names}`, { fix: HOW });
    }
    const after: MasterKeyRecord = { ...before, keyId, ...(before !== undefined && { previousKeyId: before.keyId }) };
    if (await store.replaceMasterKey(before, after)) return;
  }
  throw new KilnError('conflict', 'the master key is being changed by somebody else', { fix: 'run it again' });
}

const HOW =
  'start every router and agent with the new key as KILN_MASTER_KEY and the old one as KILN_MASTER_KEY_PREVIOUS, then run it again';
