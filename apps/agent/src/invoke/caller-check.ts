import { hash, timingSafeEqual } from 'node:crypto';

/** Says whether what a caller gave is the cluster's secret, in the same time whatever was given. */
export class CallerCheck {
  private readonly expected: Buffer;

  constructor(secret: string) {
    this.expected = digest(secret);
  }

  accepts(given: string | undefined): boolean {
    return timingSafeEqual(digest(given ?? ''), this.expected) && given !== undefined;
  }
}

// Digests have one length, whatever was given.
function digest(text: string): Buffer {
  return hash('sha256', text, 'buffer');
}
