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
import { type StoredFunctions, unpack } from './packed-versions.js';

/** Above so many bytes of sealed values the copy leaves them out, to keep the router's memory for requests. */
const MAX_VALUES = 32 * 1024 * 1024;
const RESTORE_MS = 30_000;
const FIELDS_AT_ONCE = 500;

type Hash = Record<string, string>;

/** All records of the desired state as they are stored: sealed values stay sealed, keys are hashes. */
export interface StoreCopy {
  lastSeen: StoreMark;
  functions: StoredFunctions;
  keys: Hash;
  secrets: Hash;
  secretNumbers: Hash;
  /** Undefined if they are too large together. */
  secretValues: Hash | undefined;
  masterKey: string | undefined;
}

/** Copies the desired state, and ends the loss of a store on an administrator's order. */
export class CopyStore {
  constructor(private readonly store: Store) {}

  /** Takes a copy; gives the one before if nothing has changed. @throws KilnError `unavailable` */
  async take(functions: { stored(): Promise<StoredFunctions> }, before: StoreCopy | undefined): Promise<StoreCopy> {
    const { desired } = this.store;
    await desired.check();
    if (before !== undefined && sameMark(before.lastSeen, desired.lastSeen)) return before;
    // Functions first: a secret that they name is then still there when the secrets are read.
    const stored = await functions.stored();
    const sizes = await desired.read((pipeline) => pipeline.memory('USAGE', SECRET_VALUES, 'SAMPLES', 50));
    const small = Number(sizes.replies[0] ?? 0) <= MAX_VALUES;
    const { changes, replies } = await desired.read((pipeline) => {
      pipeline.hgetall(KEYS).hgetall(SECRETS).hgetall(SECRET_NUMBERS).get(MASTER_KEY);
      if (small) pipeline.hgetall(SECRET_VALUES);
    });
    const [keys, secrets, secretNumbers, masterKey, secretValues] = replies as [Hash, Hash, Hash, string | null, Hash | undefined];
    const lastSeen = { mark: (desired.lastSeen as StoreMark).mark, changes };
    return { lastSeen, functions: stored, keys, secrets, secretNumbers, secretValues, masterKey: masterKey ?? undefined };
  }

  /** Replaces all that the store has by a copy. @throws KilnError `conflict` if the store has lost nothing */
  async restore(copy: StoreCopy): Promise<void> {
    const loss = await this.requireLoss();
    if (copy.lastSeen.mark !== loss.missed.mark) throw new KilnError('conflict', 'this router holds the data of another cluster');
    const there = Object.keys(await this.store.run((redis) => redis.hgetall(FUNCTIONS))).filter(isFunctionName);
    await this.store.transaction((pipeline) => {
      pipeline.del(FUNCTIONS, NUMBERS, KEYS, SECRETS, SECRET_NUMBERS, MASTER_KEY, ...there.map(versionsKey));
      put(pipeline, FUNCTIONS, hashOf(copy.functions, 'record'));
      for (const [name, { versions }] of copy.functions) if (versions !== undefined) put(pipeline, versionsKey(name), unpack(versions));
      put(pipeline, NUMBERS, hashOf(copy.functions, 'number'));
      put(pipeline, KEYS, copy.keys);
      put(pipeline, SECRETS, copy.secrets);
      put(pipeline, SECRET_NUMBERS, copy.secretNumbers);
      if (copy.secretValues !== undefined) put(pipeline.del(SECRET_VALUES), SECRET_VALUES, copy.secretValues);
      if (copy.masterKey !== undefined) pipeline.set(MASTER_KEY, copy.masterKey);
      makeWhole(pipeline, loss);
    }, RESTORE_MS);
    await this.store.desired.check();
  }

  /** Takes what the store has now as right. @throws KilnError `conflict` if the store has lost nothing */
  async accept(): Promise<void> {
    const loss = await this.requireLoss();
    await this.store.transaction((pipeline) => makeWhole(pipeline, loss));
    await this.store.desired.check();
  }

  private async requireLoss(): Promise<Loss> {
    const { desired } = this.store;
    await desired.check().catch((error: unknown) => {
      if (desired.loss === undefined) throw error;
    });
    if (desired.loss === undefined) throw new KilnError('conflict', 'the store has lost nothing', { fix: 'see how it is: kiln status' });
    if (desired.loss.why !== 'another') return desired.loss;
    throw new KilnError('conflict', `the store has the mark of another cluster, ${desired.loss.seen.mark}: nothing is written over it`, {
      fix: 'see that KILN_REDIS_URL leads to the store of this cluster; to go on with this one, start all routers and agents again',
    });
  }
}

/** From now on each process takes the store's content as the desired state. */
function makeWhole(pipeline: ChainableCommander, { missed, seen }: Loss): void {
  pipeline
    .set(MARK, missed.mark)
    .set(CHANGES, Math.max(missed.changes, seen.changes) + 1)
    .del(LOST);
}

function hashOf(functions: StoredFunctions, key: 'record' | 'number'): Hash {
  const texts = [...functions].map(([name, stored]) => [name, stored[key]]);
  return Object.fromEntries(texts.filter(([, text]) => text !== undefined));
}

function put(pipeline: ChainableCommander, key: string, hash: Hash): void {
  const fields = Object.entries(hash);
  for (let i = 0; i < fields.length; i += FIELDS_AT_ONCE) pipeline.hset(key, ...fields.slice(i, i + FIELDS_AT_ONCE).flat());
}

function sameMark(a: StoreMark, b: StoreMark | undefined): boolean {
  return b !== undefined && a.mark === b.mark && a.changes === b.changes;
}
