import { EnvironmentError } from '@kiln/contract/config/environment';
import { KilnError } from '@kiln/contract/errors';
import type { RenewedFunction, SecretRecord, SecretRevision, SecretsRotated, SecretsSet } from '@kiln/contract/records/secrets';
import { checkMasterKeys } from '@kiln/secrets/check-master-keys';
import { keyOf, type MasterKey, type MasterKeys } from '@kiln/secrets/master-key';
import { seal } from '@kiln/secrets/seal';
import type { FunctionWithVersions } from '@kiln/state/functions/function-entry';
import type { FunctionStore } from '@kiln/state/functions/function-store';
import type { SecretStore } from '@kiln/state/secrets/secret-store';
import type { NodeTable } from '../placement/node-table.js';
import { rotateSecrets } from '../secrets/rotate-secrets.js';
import { serving, type VersionSecrets } from '../secrets/secrets.js';
import type { Deployments, VersionNote } from './deploy.js';

/** Functions that are given their new secrets at the same time. */
const AT_ONCE = 2;

export interface SecretParts {
  store: SecretStore;
  functions: FunctionStore;
  deployments: Pick<Deployments, 'renew'>;
  versionSecrets: Pick<VersionSecrets, 'dropUnused'>;
  nodes: NodeTable;
  keys: MasterKeys | undefined;
}

/** Secrets: stored, listed, removed. Values come in, are sealed, and never go out again. */
export class Secrets {
  constructor(private readonly parts: SecretParts) {}

  list(): Promise<SecretRecord[]> {
    return this.parts.store.list();
  }

  /**
   * Stores values, all or none, and then gives each function that uses one of them a new version, a few at a time. What is stored
   * stays so, also where a function can't start with it: that one serves on with what it had.
   */
  async set(values: Readonly<Record<string, string>>, signal: AbortSignal, note: VersionNote = {}): Promise<SecretsSet> {
    const { store, keys } = this.parts;
    await this.requireKeys();
    const sealWith = (keyId: string) => {
      const key = sealingKey(keys, keyId);
      return (revision: SecretRevision) => seal(values[revision.name] ?? '', key, revision);
    };
    const names = Object.keys(values);
    const secrets = await store.put(names, sealWith);
    const functions = await this.renewAll(names, signal, { ...note, message: changed(names) });
    await this.parts.versionSecrets.dropUnused();
    return { secrets, functions };
  }

  /** @throws KilnError `not_found`, or `conflict` naming the functions that use it */
  async remove(name: string): Promise<void> {
    const mustBeFree = async () => {
      const users = (await this.parts.functions.listAll()).filter((entry) => inUse(entry, name)).map((entry) => entry.function.name);
      if (users.length === 0) return;
      throw new KilnError('conflict', `the secret ${name} is used by ${users.join(', ')}`, {
        fix: 'deploy them without it in "secrets" first',
      });
    };
    if (await this.parts.store.remove(name, mustBeFree)) return;
    throw new KilnError('not_found', `there is no secret ${name}`, { fix: 'kiln secrets ls' });
  }

  /** Seals all values anew with the key that this router was started with. @throws KilnError */
  rotate(): Promise<SecretsRotated> {
    return rotateSecrets(this.parts);
  }

  /** @throws KilnError `conflict` where this router can't seal for this cluster */
  private async requireKeys(): Promise<void> {
    const { store, keys } = this.parts;
    if (keys === undefined) throw new KilnError('conflict', 'this router has no master key, so it can store no secret', { fix: NO_KEY });
    try {
      await checkMasterKeys(store, keys);
    } catch (error) {
      throw error instanceof EnvironmentError ? new KilnError('conflict', error.message, { fix: NO_KEY }) : error;
    }
  }

  private async renewAll(names: readonly string[], signal: AbortSignal, note: VersionNote): Promise<RenewedFunction[]> {
    const all = await this.parts.functions.listAll();
    const users = all.filter((entry) => uses(serving(entry.function.traffic, entry.versions), names)).map((entry) => entry.function.name);
    const waiting = users.entries();
    const renewed: RenewedFunction[] = [];
    const work = async () => {
      for (const [i, name] of waiting) renewed[i] = await this.renew(name, signal, note);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    return renewed;
  }

  private async renew(name: string, signal: AbortSignal, note: VersionNote): Promise<RenewedFunction> {
    try {
      return { function: name, versions: await this.parts.deployments.renew(name, signal, note) };
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof KilnError)) throw error;
      return { function: name, failed: { code: error.code, detail: error.message } };
    }
  }
}

const NO_KEY = 'start every router and agent with the same KILN_MASTER_KEY';

/** While keys are changed new values are sealed with the old one: not every node may have the new one yet. */
function sealingKey(keys: MasterKeys | undefined, keyId: string): MasterKey {
  const key = keyOf(keys, keyId);
  if (key !== undefined) return key;
  throw new KilnError('conflict', `the cluster's secrets are sealed with the master key ${keyId}, which this router has not`, {
    fix: NO_KEY,
  });
}

function changed(names: readonly string[]): string {
  return names.length === 1 ? `secret ${names[0]} changed` : `${names.length} secrets changed`;
}

/** A version that waits to be proved may be about to serve, and a rollout may go back to those it began with. */
function inUse({ function: { traffic, rollout }, versions }: FunctionWithVersions, name: string): boolean {
  const from = rollout?.state === 'running' ? rollout.from : [];
  return uses([...serving([...traffic, ...from], versions), ...versions.filter(({ state }) => state === 'pending')], [name]);
}

function uses(versions: FunctionWithVersions['versions'], names: readonly string[]): boolean {
  return versions.some(({ secretRevisions = {} }) => names.some((name) => Object.hasOwn(secretRevisions, name)));
}
