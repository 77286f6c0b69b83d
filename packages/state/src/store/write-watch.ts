import { KilnError } from '@kiln/contract/errors';
import type { Commands } from './commands.js';
import { WRITE_PROBE } from './keys.js';
import { repeat } from './single-flight.js';

const EVERY_MS = 2000;
const PROBE_KEPT_MS = 60_000;
/** A store near its limit accepts one write and refuses the next: only so many accepted writes in a row mean that it has recovered. */
const ENOUGH = 3;

/** Why a store refuses writes, by the first word of its error. In the error of a script the word stands further behind. */
const REASONS = {
  OOM: 'it has used up its memory (OOM)',
  READONLY: 'it is a read-only replica (READONLY)',
  MISCONF: 'it can not write to its disk (MISCONF)',
  NOREPLICAS: 'too few of its replicas are there (NOREPLICAS)',
} as const;
const WORD = /(?:^|-)(OOM|READONLY|MISCONF|NOREPLICAS)\b/;

export const REFUSAL_FIX =
  'see what Redis says (redis-cli info memory, replication, persistence) and give it memory, disk or its master back; Kiln then goes on by itself';

/** Tracks if the store accepts writes: from each refused write, and from a small test write every 2 s. */
export class WriteWatch {
  /** Why the store refuses writes; undefined while it accepts them. */
  refusal: string | undefined;
  readonly stop: () => void;
  private taken = 0;

  constructor(
    private readonly store: Commands,
    private readonly onChange: () => void,
  ) {
    this.stop = repeat(EVERY_MS, () => this.probe());
  }

  refused(reason: string): void {
    this.taken = 0;
    const changed = this.refusal !== reason;
    this.refusal = reason;
    if (changed) this.onChange();
  }

  private async probe(): Promise<void> {
    if (!this.store.ready) return;
    try {
      await this.store.run((redis) => redis.set(WRITE_PROBE, '1', 'PX', PROBE_KEPT_MS));
      this.accepted();
    } catch {
      // `store.run` has noted a refusal; the connection notes an outage.
    }
  }

  private accepted(): void {
    if (this.refusal === undefined) return;
    this.taken += 1;
    if (this.taken < ENOUGH) return;
    this.refusal = undefined;
    this.onChange();
  }
}

/** Why a write was refused; undefined if the error is another one. */
export function refusalIn(error: unknown): string | undefined {
  if (!(error instanceof Error) || error.name !== 'ReplyError') return undefined;
  const { previousErrors = [] } = error as Error & { previousErrors?: Error[] };
  const word = [error, ...previousErrors].map(({ message }) => WORD.exec(message)?.[1]).find((found) => found !== undefined);
  return word === undefined ? undefined : REASONS[word as keyof typeof REASONS];
}

export function refusedWrite(refusal: string, cause: unknown): KilnError {
  return new KilnError('unavailable', `the store refuses writes: ${refusal}`, { fix: REFUSAL_FIX, retryAfter: 2, cause });
}
