import type { FunctionConfig } from '@kiln/contract/config/function-config';
import { KilnError } from '@kiln/contract/errors';
import type { VersionRecord } from '@kiln/contract/records/records';
import type { SecretRevisions } from '@kiln/contract/records/secrets';
import type { FunctionStore } from '@kiln/state/functions/function-store';
import type { SecretStore } from '@kiln/state/secrets/secret-store';

/** The secrets of versions: which revisions a new one is made with, and whether an old one's are still the newest. */
export class VersionSecrets {
  constructor(
    private readonly store: Pick<SecretStore, 'get' | 'dropOthers'>,
    private readonly functions: Pick<FunctionStore, 'neededSecrets'>,
  ) {}

  /** The newest revision of each secret named; undefined for none. @throws KilnError `bad_request` naming each field of one not stored */
  async newest({ secrets }: Pick<FunctionConfig, 'secrets'>, where = 'config'): Promise<SecretRevisions | undefined> {
    if (secrets.length === 0) return undefined;
    const revisions = new Map((await this.store.get(secrets)).map(({ name, revision }) => [name, revision]));
    const unknown = secrets.flatMap((name, i) => (revisions.has(name) ? [] : [{ name, field: `${where}.secrets[${i}]` }]));
    if (unknown.length === 0) return Object.fromEntries(revisions);
    const fields = unknown.map(({ name, field }) => ({ field, message: `names ${name}, and no such secret is stored` }));
    throw new KilnError('bad_request', fields.map(({ field, message }) => `${field} ${message}`).join('; '), {
      fields,
      fix: `store it: kiln secrets set ${unknown[0]?.name}`,
    });
  }

  /** Forgets revisions that no version was made with. Never rejects: what stays is tried again with the next change. */
  async dropUnused(): Promise<void> {
    await this.store.dropOthers(() => this.functions.neededSecrets()).catch(() => undefined);
  }

  /** Those of the versions of which a secret has changed since they were made. */
  async outdated(versions: readonly VersionRecord[]): Promise<VersionRecord[]> {
    const names = new Set(versions.flatMap(({ secretRevisions = {} }) => Object.keys(secretRevisions)));
    const newest = new Map((await this.store.get([...names])).map(({ name, revision }) => [name, revision]));
    return versions.filter(({ secretRevisions = {} }) =>
      Object.entries(secretRevisions).some(([name, revision]) => revision < (newest.get(name) ?? 0)),
    );
  }
}

/** Versions that requests reach by traffic. */
export function serving(traffic: readonly { version: number; weight: number }[], versions: readonly VersionRecord[]): VersionRecord[] {
  const numbers = new Set(traffic.filter(({ weight }) => weight > 0).map(({ version }) => version));
  return versions.filter(({ version }) => numbers.has(version));
}
