import type { Control, Receiver, Sending } from './upstream-port.js';

/** Methods that may run twice (RFC 9110 section 9.2.2, and QUERY). */
export const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'QUERY']);

/** It may run twice, and all of it is at hand. */
export function mayResend({ method, body }: Sending): boolean {
  return IDEMPOTENT.has(method) && (body === null || Buffer.isBuffer(body));
}

/**
 * For a request on a connection that has served before: the other side may have closed it at the very moment of the sending. Where it
 * breaks before any byte of an answer, the request is sent once more, on a connection of its own. Only for those that may be resent.
 */
export class ResendOnce implements Receiver, Control {
  private control: Control | undefined;
  private answered = false;
  private givenUp = false;

  constructor(
    private readonly receiver: Receiver,
    /** @param error undefined: no byte of the first try left */
    private readonly again: (error: Error | undefined) => void,
  ) {}

  onStart(control: Control): void {
    this.control = control;
    this.receiver.onStart(this);
  }

  onAnswer(): void {
    this.answered = true;
    this.receiver.onAnswer();
  }

  onInformation(status: number, headers: string[]): void {
    this.receiver.onInformation(status, headers);
  }

  onHead(status: number, headers: string[]): void {
    this.receiver.onHead(status, headers);
  }

  onData(chunk: Buffer): void {
    this.receiver.onData(chunk);
  }

  onSound(): void {
    this.receiver.onSound();
  }

  onEnd(trailers: string[]): void {
    this.receiver.onEnd(trailers);
  }

  onError(error: Error, sent: boolean): void {
    if (this.answered || this.givenUp) this.receiver.onError(error, sent);
    else this.again(sent ? error : undefined);
  }

  pause(): void {
    this.control?.pause();
  }

  resume(): void {
    this.control?.resume();
  }

  abort(error: Error): void {
    this.givenUp = true;
    this.control?.abort(error);
  }
}
