import type { VersionRecord } from '@kiln/contract/records/records';
import { type ProveParts, prove } from './prove.js';

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
/** For versions for which no router waits any more: a router gives up much earlier. */
const LONGEST_MS = 15 * 60_000;

export interface ProofsParts extends ProveParts {
  /** Removes a version that is still pending. */
  withdraw(name: string, version: number): Promise<unknown>;
  onTrouble(message: string, keys?: object): void;
  /** Called where the store has changed: requests a pass. */
  settled(): void;
  now?(): number;
}

interface Attempts {
  underway: boolean;
  since: number;
  pause: number;
  /** No next try before then. */
  until: number;
}

/** The versions that this node proves: one attempt of each at a time, retried after a growing pause, for 15 minutes at most. */
export class Proofs {
  private readonly attempts = new Map<string, Attempts>();

  constructor(private readonly parts: ProofsParts) {}

  /** Sets the versions to prove here, and starts each attempt that is due. */
  update(versions: readonly VersionRecord[]): void {
    const keys = new Set(versions.map(keyOf));
    for (const [key, { underway }] of this.attempts) if (!underway && !keys.has(key)) this.attempts.delete(key);
    for (const version of versions) void this.attempt(version);
  }

  private async attempt(version: VersionRecord): Promise<void> {
    const key = keyOf(version);
    const now = this.now();
    const attempts = this.attempts.get(key) ?? { underway: false, since: now, pause: FIRST_PAUSE_MS, until: now };
    if (attempts.underway || now < attempts.until) return;
    this.attempts.set(key, attempts);
    attempts.underway = true;
    try {
      if (now - attempts.since > LONGEST_MS) await this.giveUp(version);
      else await prove(version, this.parts);
    } catch (error) {
      this.parts.onTrouble('proof result could not be stored', { version: key, error: (error as Error).message });
    } finally {
      attempts.underway = false;
      attempts.until = this.now() + attempts.pause;
      attempts.pause = Math.min(LONGEST_PAUSE_MS, attempts.pause * 2);
    }
    this.parts.settled();
  }

  private async giveUp({ function: name, version }: VersionRecord): Promise<void> {
    await this.parts.withdraw(name, version);
    this.parts.onTrouble('version withdrawn: no node could start it', { function: name, version });
    this.parts.announce(name);
  }

  private now(): number {
    return this.parts.now?.() ?? performance.now();
  }
}

function keyOf({ function: name, version }: VersionRecord): string {
  return `${name}@${version}`;
}
