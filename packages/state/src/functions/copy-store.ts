import { KilnError } from '@kiln/contract/errors';
import type { ChainableCommander } from 'ioredis';
import type { Loss, StoreMark } from '../store/continuity.js';
import {
  CHANGES,
  FUNCTIONS,
  isFunctionName,
  KEYS,
  LOST,
  MARK,
  MASTER_KEY,
  NUMBERS,
  SECRET_NUMBERS,
  SECRET_VALUES,
  SECRETS,
  versionsKey,
} from '../store/keys.js';
import type { Store } from '../store/store.js';
import type { StoredFunctions } from './function-list.js';

/** Bytes of sealed values beyond which a copy holds none: a router's memory is for requests. */
const MAX_VALUES = 32 * 1024 * 1024;
const RESTORE_MS = 30_000;
const FIELDS_AT_ONCE = 500;

type Hash = Record<string, string>;

/** Everything that must not be lost, as it is stored: sealed values stay sealed, and of keys there are only hashes. */
export interface StoreCopy {
  standing: StoreMark;
  functions: StoredFunctions;
  keys: Hash;
  secrets: Hash;
  secretNumbers: Hash;
  /** Undefined where there are too many of them. */
  secretValues: Hash | undefined;
  masterKey: string | undefined;
}

/** Copies of the desired state, and what an administrator orders for a store that has lost something. */
export class CopyStore {
  constructor(private readonly store: Store) {}

  /** A copy of now; the one before where nothing has changed. @throws KilnError `unavailable` */
  async take(functions: { stored(): Promise<StoredFunctions> }, before: StoreCopy | undefined): Promise<StoreCopy> {
    const { desired } = this.store;
    await desired.look();
    if (before !== undefined && sameStanding(before.standing, desired.standing)) return before;
    // First: every secret that they name is still there when the secrets are read.
    const stored = await functions.stored();
    const sizes = await desired.read((pipeline) => pipeline.memory('USAGE', SECRET_VALUES, 'SAMPLES', 50));
    const small = Number(sizes.replies[0] ?? 0) <= MAX_VALUES;
    const { changes, replies } = await desired.read((pipeline) => {
      pipeline.hgetall(KEYS).hgetall(SECRETS).hgetall(SECRET_NUMBERS).get(MASTER_KEY);
      if (small) pipeline.hgetall(SECRET_VALUES);
    });
    const [keys, secrets, secretNumbers, masterKey, secretValues] = replies as [Hash, Hash, Hash, string | null, Hash | undefined];
    const standing = { mark: (desired.standing as StoreMark).mark, changes };
    return { standing, functions: stored, keys, secrets, secretNumbers, secretValues, masterKey: masterKey ?? undefined };
  }

  /** Writes a copy in the place of all that the store has. @throws KilnError `conflict` where there is no call for that */
  async restore(copy: StoreCopy): Promise<void> {
    const loss = await this.requireLoss();
    if (copy.standing.mark !== loss.missed.mark) throw new KilnError('conflict', 'what this router holds is of another cluster');
    const there = Object.keys(await this.store.run((redis) => redis.hgetall(FUNCTIONS))).filter(isFunctionName);
    await this.store.transaction((pipeline) => {
      pipeline.del(FUNCTIONS, NUMBERS, KEYS, SECRETS, SECRET_NUMBERS, MASTER_KEY, ...there.map(versionsKey));
      put(pipeline, FUNCTIONS, Object.fromEntries(copy.functions.functions));
      for (const [name, versions] of copy.functions.versions) put(pipeline, versionsKey(name), versions);
      put(pipeline, NUMBERS, Object.fromEntries(copy.functions.numbers));
      put(pipeline, KEYS, copy.keys);
      put(pipeline, SECRETS, copy.secrets);
      put(pipeline, SECRET_NUMBERS, copy.secretNumbers);
      if (copy.secretValues !== undefined) put(pipeline.del(SECRET_VALUES), SECRET_VALUES, copy.secretValues);
      if (copy.masterKey !== undefined) pipeline.set(MASTER_KEY, copy.masterKey);
      makeWhole(pipeline, loss);
    }, RESTORE_MS);
    await this.store.desired.look();
  }

  /** What the store has now is right, whatever was known. @throws KilnError `conflict` where there is no call for that */
  async accept(): Promise<void> {
    const loss = await this.requireLoss();
    await this.store.transaction((pipeline) => makeWhole(pipeline, loss));
    await this.store.desired.look();
  }

  private async requireLoss(): Promise<Loss> {
    const { desired } = this.store;
    await desired.look().catch((error: unknown) => {
      if (desired.loss === undefined) throw error;
    });
    if (desired.loss === undefined) throw new KilnError('conflict', 'the store has lost nothing', { fix: 'see how it is: kiln status' });
    if (desired.loss.why !== 'another') return desired.loss;
    throw new KilnError('conflict', `the store has the mark of another cluster, ${desired.loss.seen.mark}: nothing is written over it`, {
      fix: 'see that KILN_REDIS_URL leads to the store of this cluster; to go on with this one, start all routers and agents again',
    });
  }
}

/** From then on every process takes what is there as ordered. */
function makeWhole(pipeline: ChainableCommander, { missed, seen }: Loss): void {
  pipeline
    .set(MARK, missed.mark)
    .set(CHANGES, Math.max(missed.changes, seen.changes) + 1)
    .del(LOST);
}

function put(pipeline: ChainableCommander, key: string, hash: Hash): void {
  const fields = Object.entries(hash);
  for (let i = 0; i < fields.length; i += FIELDS_AT_ONCE) pipeline.hset(key, ...fields.slice(i, i + FIELDS_AT_ONCE).flat());
}

function sameStanding(a: StoreMark, b: StoreMark | undefined): boolean {
  return b !== undefined && a.mark === b.mark && a.changes === b.changes;
}
