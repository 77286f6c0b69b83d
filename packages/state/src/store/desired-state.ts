import { randomBytes } from 'node:crypto';
import { KilnError } from '@kiln/contract/errors';
import type { ChainableCommander } from 'ioredis';
import { describeLoss, type Loss, lossOf, type StoreMark, type StoreState } from './continuity.js';
import { CHANGE_NOTES, CHANGES, LOST, MARK } from './keys.js';
import { FOUND, guarded, NOT_AS_KNOWN, REPORT_LOSS } from './mark-scripts.js';
import type { Store } from './store.js';

const MARK_BYTES = 12;
/** The store changed its face that often under one write: something is very wrong. */
const ATTEMPTS = 3;

const RESTORE_FIX =
  'have what the routers hold written back: kiln doctor --restore-store; or, to go on with what the store has now: kiln doctor --accept-store';
const OTHER_FIX =
  'see that KILN_REDIS_URL leads to the store of this cluster; to go on with this one, start all routers and agents of this cluster again';

/** What was read, and not from a store that had lost something before or behind it. */
export interface Snapshot {
  /** How often the desired state had changed before it was read. */
  changes: number;
  /** Whether nothing has changed while it was read. */
  steady: boolean;
  replies: unknown[];
}

/** What the store said of itself before and behind what was read. */
interface Look {
  first: StoreState;
  last: StoreState;
}

/**
 * Functions, versions, secrets and keys in the store, as long as it is the store that was known: nothing is read from one that lost
 * something, and nothing is written to it, for absence is not an order. Whoever holds what was known goes on with that.
 */
export class DesiredState {
  private known: StoreMark | undefined;
  private current: Loss | undefined;

  constructor(
    private readonly store: Store,
    private readonly onChange: () => void,
  ) {}

  /** What the store has lost; undefined where nothing is amiss. */
  get loss(): Loss | undefined {
    return this.current;
  }

  /** The mark of the cluster and the latest change that was seen here. */
  get standing(): StoreMark | undefined {
    return this.known;
  }

  /** Reads between two looks at mark and counter. @throws KilnError `unavailable` also where the store has lost something */
  async read(fill: (pipeline: ChainableCommander) => void): Promise<Snapshot> {
    for (let i = 0; i < ATTEMPTS; i += 1) {
      const { look, replies } = await this.ask(fill);
      if (await this.settle(look)) return { changes: look.first.changes, steady: look.first.changes === look.last.changes, replies };
    }
    throw unsteady();
  }

  /** One command of it. */
  async readOne(fill: (pipeline: ChainableCommander) => void): Promise<unknown> {
    return (await this.read(fill)).replies[0];
  }

  /**
   * Runs a script that changes the desired state, in the store that was known and in no other; see `guarded`.
   * @param of the function that it changes; left out where it changes none
   * @throws KilnError `unavailable` also where the store has lost something
   */
  async change(script: string, keys: readonly string[], values: readonly (string | number)[], of = ''): Promise<unknown> {
    for (let i = 0; i < ATTEMPTS; i += 1) {
      if (this.known === undefined || this.current !== undefined) await this.look();
      const { mark, changes } = this.known as StoreMark;
      const all = [...keys, MARK, LOST, CHANGES, CHANGE_NOTES];
      const reply = await this.store.run((redis) => redis.eval(guarded(script), all.length, ...all, ...values, of, mark, changes));
      if (reply !== NOT_AS_KNOWN) return reply;
      await this.look();
    }
    throw unsteady();
  }

  /** @throws KilnError `unavailable` as `read` */
  async look(): Promise<void> {
    await this.settle((await this.ask()).look);
  }

  /** Not as a transaction: a store that has used up its memory queues none. */
  private async ask(fill: (pipeline: ChainableCommander) => void = () => undefined): Promise<{ look: Look; replies: unknown[] }> {
    const all = await this.store.pipeline((pipeline) => {
      pipeline.get(MARK).get(CHANGES).hgetall(LOST);
      fill(pipeline);
      pipeline.get(MARK).get(CHANGES).hgetall(LOST);
    });
    return { look: { first: seenIn(all.slice(0, SIZE)), last: seenIn(all.slice(-SIZE)) }, replies: all.slice(SIZE, -SIZE) };
  }

  /** False where what was read was not of a whole store, and the store is whole by now. */
  private async settle(look: Look): Promise<boolean> {
    // Replies that overtook each other are no loss: what is said of the store is what it says twice.
    const { last: seen } = lossIn(this.known, look) === undefined ? look : (await this.ask()).look;
    const loss = lossOf(this.known ?? standingIn(look.first), seen);
    this.say(loss);
    if (loss !== undefined) {
      // Who started under a loss knows from others which store it is: it must not take the next empty one for a new cluster's.
      if (loss.why !== 'another') this.known ??= loss.missed;
      await this.report(loss);
      throw new KilnError('unavailable', describeLoss(loss), { fix: fixOf(loss), retryAfter: 5 });
    }
    const mark = seen.mark ?? (await this.found());
    const changes = Math.max(seen.changes, this.known?.mark === mark ? this.known.changes : 0);
    this.known = { mark, changes };
    return seen === look.last;
  }

  /** The first process that finds no mark, and nobody who misses one, gives the cluster its mark. */
  private async found(): Promise<string> {
    const mark = randomBytes(MARK_BYTES).toString('hex');
    const given = await this.store.run((redis) => redis.eval(FOUND, 2, MARK, LOST, mark));
    if (typeof given === 'string') return given;
    throw new KilnError('unavailable', 'others have just missed the mark of this cluster', { fix: 'try again' });
  }

  /** Others who know less, those who start later among them, must not take the store for a whole one. */
  private async report({ why, missed, seen }: Loss): Promise<void> {
    if (why === 'another' || (seen.lost !== undefined && seen.lost.changes >= missed.changes)) return;
    const done = this.store.run((redis) => redis.eval(REPORT_LOSS, 3, MARK, LOST, CHANGES, missed.mark, missed.changes));
    // Where it is not stored, every process still goes by what it knows itself.
    await done.catch(() => undefined);
  }

  private say(loss: Loss | undefined): void {
    const before = this.current?.why;
    this.current = loss;
    if (before !== loss?.why) this.onChange();
  }
}

export function fixOf({ why }: Loss): string {
  return why === 'another' ? OTHER_FIX : RESTORE_FIX;
}

function unsteady(): KilnError {
  return new KilnError('unavailable', 'the store keeps changing its mark', { fix: 'see that one Redis answers at KILN_REDIS_URL' });
}

/** Replies of one look. */
const SIZE = 3;

function seenIn([mark, changes, lost]: unknown[]): StoreState {
  return { mark: (mark as string | null) ?? undefined, changes: Number(changes ?? 0), lost: standingOf(lost) };
}

function lossIn(known: StoreMark | undefined, { first, last }: Look): Loss | undefined {
  return lossOf(known, first) ?? lossOf(known ?? standingIn(first), last);
}

/** What a process that knew nothing knows from then on. */
function standingIn({ mark, changes }: StoreState): StoreMark | undefined {
  return mark === undefined ? undefined : { mark, changes };
}

function standingOf(hash: unknown): StoreMark | undefined {
  const { mark, changes } = hash as Record<string, string>;
  return mark === undefined ? undefined : { mark, changes: Number(changes) };
}
