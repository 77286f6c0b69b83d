import type { KilnError } from '@kiln/contract/errors';

/** Where the answer of an exchange goes: an HTTP response, or whatever else takes a head, bytes and an end. */
export interface Downstream {
  /** The head of an answer has gone there. */
  readonly started: boolean;
  /** Whoever asked is there no more. */
  readonly gone: boolean;
  /** It has begun to take an answer and takes no more of it at the moment. */
  readonly heldBack: boolean;
  /** Grows while whoever asked takes what was written. */
  readonly bytesTaken: number;
  onGone(listener: () => void): void;
  offGone(listener: () => void): void;
  /** Called each time that it takes more, after `write` said that it does not. */
  onDrain(listener: () => void): void;
  /** An interim answer. It never fails: what can't be told is left out. */
  inform(status: number, lines?: readonly string[]): void;
  /** @throws Error where the head can't be written as it is */
  begin(status: number, lines: string[]): void;
  /** Lets a head go before there is any body. */
  flush(): void;
  /** @returns false where it takes no more for the moment */
  write(chunk: Buffer): boolean;
  end(last: Buffer | undefined, trailers: readonly string[]): void;
  /** Ends an answer that can't be completed so that whoever reads it notices. @param counted its head announced its length */
  cut(counted: boolean): void;
  destroy(): void;
  /** A whole answer that tells an error of Kiln's own; no head must have gone before. `status` where it is not the code's usual one. */
  fail(error: KilnError, requestId: string, lines: string[], status?: number): void;
}
