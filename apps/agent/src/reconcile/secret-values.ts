import { KilnError } from '@kiln/contract/errors';
import type { SealedValue, SecretRevision } from '@kiln/contract/records/secrets';
import type { FunctionVersion } from '@kiln/instances/port/container-driver';
import { Refusal } from '@kiln/instances/port/refusal';
import { keyOf, type MasterKeys } from '@kiln/secrets/master-key';
import { open } from '@kiln/secrets/seal';
import type { SecretStore } from '@kiln/state/secrets/secret-store';
import type { Desired } from './version-table.js';

/** Characters of sealed values in memory. */
const MAX_KEPT = 32 * 1024 * 1024;

/**
 * Secrets for instances that start here. Keeps the secrets of serving versions sealed in memory, so that instances start while the
 * store is away. Opens them for each start, and does not keep the opened values.
 */
export class SecretValues {
  private kept: ReadonlyMap<string, SealedValue> = new Map();

  constructor(
    private readonly store: Pick<SecretStore, 'values'>,
    private readonly keys: MasterKeys | undefined,
    /** True where no other node could have them. */
    private readonly alone: () => boolean = () => false,
  ) {}

  /** Reads missing secrets, and drops those that no serving version needs. @throws KilnError `unavailable` */
  async keep(desired: readonly Desired[]): Promise<void> {
    const needed = new Map(desired.flatMap(revisionsOf).map((revision) => [keyFor(revision), revision]));
    const missing = [...needed].filter(([key]) => !this.kept.has(key)).map(([, revision]) => revision);
    const read = await this.store.values(missing);
    const found = new Map(missing.map((revision, i) => [keyFor(revision), read[i]]));
    const next = new Map<string, SealedValue>();
    let size = 0;
    for (const key of needed.keys()) {
      const sealed = this.kept.get(key) ?? found.get(key);
      if (sealed === undefined) continue;
      size += sealed.data.length;
      if (size <= MAX_KEPT) next.set(key, sealed);
    }
    this.kept = next;
  }

  /** @throws KilnError `start_failed` where a secret is missing or can't be opened; a Refusal where the store is away and this node has not read it */
  readonly of = async (version: FunctionVersion): Promise<Record<string, string>> => {
    const revisions = listed(version);
    const sealed = revisions.map((revision) => this.kept.get(keyFor(revision)));
    const values = sealed.every((value) => value !== undefined) ? sealed : await this.read(revisions);
    return Object.fromEntries(revisions.map((revision, i) => [revision.name, this.opened(revision, values[i])]));
  };

  private async read(revisions: readonly SecretRevision[]): Promise<(SealedValue | undefined)[]> {
    try {
      return await this.store.values(revisions);
    } catch (error) {
      if (!(error instanceof KilnError) || error.code !== 'unavailable') throw error;
      const detail = 'the store is away, and this node has not read the secrets of this version';
      throw new Refusal('no_capacity', detail, { cause: error, passing: this.alone() });
    }
  }

  private opened(revision: SecretRevision, sealed: SealedValue | undefined): string {
    const which = `its secret ${revision.name} (revision ${revision.revision})`;
    if (sealed === undefined) throw new KilnError('start_failed', `${which} is not stored any more`, { fix: 'set it and deploy again' });
    const key = keyOf(this.keys, sealed.keyId);
    if (key === undefined) {
      const fix = 'start the agent with that KILN_MASTER_KEY, or set the secret again';
      throw new KilnError('start_failed', `${which} is sealed with the master key ${sealed.keyId}, which this node has not`, { fix });
    }
    const value = open(sealed, key, revision);
    if (value !== undefined) return value;
    throw new KilnError('start_failed', `${which} was changed in the store by somebody without the key`, { fix: 'set it again' });
  }
}

const keyFor = ({ name, revision }: SecretRevision) => `${name}@${revision}`;

function listed({ secretRevisions = {} }: Pick<FunctionVersion, 'secretRevisions'>): SecretRevision[] {
  return Object.entries(secretRevisions).map(([name, revision]) => ({ name, revision }));
}

/** The secrets of the versions with traffic. */
function revisionsOf({ function: { traffic }, versions }: Desired): SecretRevision[] {
  const serving = new Set(traffic.filter(({ weight }) => weight > 0).map(({ version }) => version));
  return versions.filter(({ version }) => serving.has(version)).flatMap(listed);
}
