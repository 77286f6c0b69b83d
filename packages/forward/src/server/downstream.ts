import type { ServerResponse } from 'node:http';
import type { KilnError } from '@kiln/contract/errors';
import { hintHeaders, trailerPairs } from '../headers/side-fields.js';
import { writeProblem } from './problem.js';

const CONTINUE = 100;
const EARLY_HINTS = 103;
// Node joins a head and a short string into one write; a head and a buffer become a vector, which costs twice as much.
const ONE_WRITE_BYTES = 16 * 1024;

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

/** The response of a `node:http` server. */
export class HttpDownstream implements Downstream {
  constructor(private readonly response: ServerResponse) {}

  get started(): boolean {
    return this.response.headersSent;
  }

  get gone(): boolean {
    return this.response.destroyed;
  }

  get heldBack(): boolean {
    return this.response.headersSent && this.response.writableNeedDrain;
  }

  get bytesTaken(): number {
    return this.response.socket?.bytesWritten ?? 0;
  }

  onGone(listener: () => void): void {
    this.response.on('close', listener);
  }

  offGone(listener: () => void): void {
    this.response.off('close', listener);
  }

  onDrain(listener: () => void): void {
    this.response.on('drain', listener);
  }

  inform(status: number, lines?: readonly string[]): void {
    const { response } = this;
    if (response.headersSent) return;
    if (status === CONTINUE) response.writeContinue();
    else if (status !== EARLY_HINTS) response.writeInformation(status);
    else if (response.req.httpVersionMinor > 0) relayHints(response, lines ?? []);
  }

  begin(status: number, lines: string[]): void {
    this.response.writeHead(status, lines);
  }

  flush(): void {
    this.response.flushHeaders();
  }

  write(chunk: Buffer): boolean {
    return this.response.write(chunk);
  }

  end(last: Buffer | undefined, trailers: readonly string[]): void {
    const { response } = this;
    if (trailers.length > 0 && response.chunkedEncoding) response.addTrailers(trailerPairs(trailers));
    if (last === undefined) response.end();
    else if (last.length > ONE_WRITE_BYTES) response.end(last);
    else response.end(last.toString('latin1'), 'latin1');
  }

  /** A length or chunks show the cut by themselves; an answer that ends with its connection would look whole, so that is reset. */
  cut(counted: boolean): void {
    const { response } = this;
    if (!counted && !response.chunkedEncoding) response.socket?.resetAndDestroy();
    response.destroy();
  }

  destroy(): void {
    this.response.destroy();
  }

  fail(error: KilnError, requestId: string, lines: string[], status?: number): void {
    writeProblem(this.response, error, requestId, lines, status);
  }
}

function relayHints(response: ServerResponse, lines: readonly string[]): void {
  try {
    response.writeInformation(EARLY_HINTS, hintHeaders(lines));
  } catch {
    // A hint that can't be written is left out: it is never worth a failed request.
    return;
  }
}
