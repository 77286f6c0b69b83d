import { randomBytes } from 'node:crypto';
import { KilnError } from '@kiln/contract/errors';
import type { ChainableCommander } from 'ioredis';
import type { Commands } from './commands.js';
import { describeLoss, type Loss, lossOf, type StoreMark, type StoreState } from './continuity.js';
import { CHANGE_NOTES, CHANGES, LOST, MARK } from './keys.js';
import { CREATE_MARK, guarded, REPORT_LOSS, STORE_CHANGED } from './mark-scripts.js';

const MARK_BYTES = 12;
/** A store that lost its mark this often during one command is not usable. */
const ATTEMPTS = 3;
/** Others that write at the same moment are let through first, so often. */
const RACES = 200;

const RESTORE_FIX =
  'have what the routers hold written back: kiln doctor --restore-store; or, to go on with what the store has now: kiln doctor --accept-store';
const OTHER_FIX =
  'see that KILN_REDIS_URL leads to the store of this cluster; to go on with this one, start all routers and agents of this cluster again';

/** Data that was read from a store that had lost nothing, neither before nor after the read. */
export interface Snapshot {
  /** The change counter at the time of the read. */
  changes: number;
  /** True if nothing changed during the read. */
  steady: boolean;
  replies: unknown[];
}

/** The store's mark and counter, read before and after the data. */
interface StateReads {
  first: StoreState;
  last: StoreState;
}

/**
 * Reads and writes functions, versions, secrets and keys, but only in a store that has lost nothing. A record that is missing from a
 * store with a loss was not deleted by a user: the caller keeps what it has in memory.
 */
export class DesiredState {
  /** What the store has lost; undefined if nothing. Only this class writes it, and `lastSeen`. */
  loss: Loss | undefined;
  /** The cluster's mark and the latest change that this process has seen. */
  lastSeen: StoreMark | undefined;

  constructor(
    private readonly store: Commands,
    private readonly onChange: () => void,
  ) {}

  /** Reads mark and counter before and after the data. @throws KilnError `unavailable`, also if the store has lost something */
  async read(fill: (pipeline: ChainableCommander) => void): Promise<Snapshot> {
    for (let i = 0; i < ATTEMPTS; i += 1) {
      const { states, replies } = await this.ask(fill);
      if (await this.judge(states)) return { changes: states.first.changes, steady: states.first.changes === states.last.changes, replies };
    }
    throw unsteady();
  }

  /** The same for one command; gives its reply. */
  async readOne<T>(fill: (pipeline: ChainableCommander) => void): Promise<T> {
    return (await this.read(fill)).replies[0] as T;
  }

  hash(key: string): Promise<Record<string, string>> {
    return this.readOne((pipeline) => pipeline.hgetall(key));
  }

  /** Runs a script, guarded. @param functionName the function that it changes; empty if none @throws KilnError `unavailable` as `read` */
  async change(script: string, keys: readonly string[], values: readonly (string | number)[], functionName = ''): Promise<unknown> {
    for (let i = 0; i < ATTEMPTS; i += 1) {
      if (this.lastSeen === undefined || this.loss !== undefined) await this.check();
      const { mark, changes } = this.lastSeen as StoreMark;
      const all = [...keys, MARK, LOST, CHANGES, CHANGE_NOTES];
      const reply = await this.store.run((redis) =>
        redis.eval(guarded(script), all.length, ...all, ...values, functionName, mark, changes),
      );
      if (reply !== STORE_CHANGED) return reply;
      await this.check();
    }
    throw unsteady();
  }

  /** Compares the store's mark and counter with the latest ones. @throws KilnError `unavailable` as `read` */
  async check(): Promise<void> {
    await this.judge((await this.ask()).states);
  }

  /** A pipeline, not a transaction: Redis refuses transactions once its memory is full. */
  private async ask(fill: (pipeline: ChainableCommander) => void = () => undefined): Promise<{ states: StateReads; replies: unknown[] }> {
    const all = await this.store.pipeline((pipeline) => {
      pipeline.get(MARK).get(CHANGES).hgetall(LOST);
      fill(pipeline);
      pipeline.get(MARK).get(CHANGES).hgetall(LOST);
    });
    return { states: { first: stateOf(all.slice(0, SIZE)), last: stateOf(all.slice(-SIZE)) }, replies: all.slice(SIZE, -SIZE) };
  }

  /** True if the data can be used; false if the read must be repeated, because the store was whole only afterwards. */
  private async judge(states: StateReads): Promise<boolean> {
    // Two reads of this process may finish in the wrong order, which looks like a loss: a second read confirms it.
    const { last: seen } = lossIn(this.lastSeen, states) === undefined ? states : (await this.ask()).states;
    const loss = lossOf(this.lastSeen ?? markOf(states.first), seen);
    this.setLoss(loss);
    if (loss !== undefined) {
      // A process that started during a loss learns the mark from the others' report. Without it, it would take the next empty
      // store for the store of a new cluster.
      if (loss.why !== 'another') this.lastSeen ??= loss.missed;
      await this.report(loss);
      throw new KilnError('unavailable', describeLoss(loss), { fix: fixOf(loss), retryAfter: 5 });
    }
    const mark = seen.mark ?? (await this.createMark());
    const changes = Math.max(seen.changes, this.lastSeen?.mark === mark ? this.lastSeen.changes : 0);
    this.lastSeen = { mark, changes };
    return seen === states.last;
  }

  /** The first process that finds no mark and no report of a loss writes the cluster's mark. */
  private async createMark(): Promise<string> {
    const mark = randomBytes(MARK_BYTES).toString('hex');
    const given = await this.store.run((redis) => redis.eval(CREATE_MARK, 2, MARK, LOST, mark));
    if (typeof given === 'string') return given;
    throw new KilnError('unavailable', 'another process has just reported that the store lost the mark of this cluster', {
      fix: 'try again',
    });
  }

  /** Tells processes that start later, which could else take this store for a whole one. */
  private async report({ why, missed, seen }: Loss): Promise<void> {
    if (why === 'another' || (seen.lost !== undefined && seen.lost.changes >= missed.changes)) return;
    const done = this.store.run((redis) => redis.eval(REPORT_LOSS, 3, MARK, LOST, CHANGES, missed.mark, missed.changes));
    // If the report fails, each process still goes by its own latest mark.
    await done.catch(() => undefined);
  }

  private setLoss(loss: Loss | undefined): void {
    const before = this.loss?.why;
    this.loss = loss;
    if (before !== loss?.why) this.onChange();
  }
}

/** Tries a change until nobody else has changed what it read. @throws KilnError `conflict` where others never stop */
export async function untilFirst<T>(what: string, attempt: () => Promise<T | undefined>): Promise<T> {
  for (let i = 0; i < RACES; i += 1) {
    const done = await attempt();
    if (done !== undefined) return done;
  }
  throw new KilnError('conflict', `others keep changing the same ${what}`, { fix: 'try again', retryAfter: 1 });
}

export function fixOf({ why }: Loss): string {
  return why === 'another' ? OTHER_FIX : RESTORE_FIX;
}

function unsteady(): KilnError {
  return new KilnError('unavailable', 'the store keeps changing its mark', { fix: 'see that one Redis answers at KILN_REDIS_URL' });
}

/** Replies to one read of mark, counter and report. */
const SIZE = 3;

function stateOf([mark, changes, lost]: unknown[]): StoreState {
  return { mark: (mark as string | null) ?? undefined, changes: Number(changes ?? 0), lost: reportOf(lost) };
}

function lossIn(latest: StoreMark | undefined, { first, last }: StateReads): Loss | undefined {
  return lossOf(latest, first) ?? lossOf(latest ?? markOf(first), last);
}

function markOf({ mark, changes }: StoreState): StoreMark | undefined {
  return mark === undefined ? undefined : { mark, changes };
}

function reportOf(hash: unknown): StoreMark | undefined {
  const { mark, changes } = hash as Record<string, string>;
  return mark === undefined ? undefined : { mark, changes: Number(changes) };
}
