import type { VersionRecord } from '@kiln/contract/records/records';
import { type ProveParts, prove } from './prove.js';

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
/** A router that waits for it gives up much earlier: this is for versions that nobody waits for any more. */
const LONGEST_MS = 15 * 60_000;

export interface ProofsParts extends ProveParts {
  /** Takes out a version that is still pending. */
  withdraw(name: string, version: number): Promise<unknown>;
  onTrouble(message: string): void;
  /** Something has changed that a look at the store will show. */
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

/** The versions that this node proves: one try of each at a time, again after a pause that grows, and not for ever. */
export class Proofs {
  private readonly attempts = new Map<string, Attempts>();

  constructor(private readonly parts: ProofsParts) {}

  /** Those that are to be proved here now; others are forgotten. Every one is tried whose time has come. */
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
      this.parts.onTrouble(`version ${key} could not be reported: ${(error as Error).message}`);
    } finally {
      attempts.underway = false;
      attempts.until = this.now() + attempts.pause;
      attempts.pause = Math.min(LONGEST_PAUSE_MS, attempts.pause * 2);
    }
    this.parts.settled();
  }

  private async giveUp({ function: name, version }: VersionRecord): Promise<void> {
    await this.parts.withdraw(name, version);
    this.parts.onTrouble(`version ${name}@${version} was withdrawn: no node could start it, and nobody waits for it any more`);
    this.parts.announce(name);
  }

  private now(): number {
    return this.parts.now?.() ?? performance.now();
  }
}

function keyOf({ function: name, version }: VersionRecord): string {
  return `${name}@${version}`;
}
