import { type Dispatcher } from 'undici';
import type { Control, Receiver, Sending, Upstream } from './carrier.js';

/** An undici client or pool as an upstream. */
export class UndiciUpstream implements Upstream {
  constructor(
    private readonly dispatcher: Dispatcher,
    private readonly isConnected: () => boolean,
  ) {}

  get connected(): boolean {
    return this.isConnected();
  }

  send(sending: Sending, receiver: Receiver): void {
    const { method, path, headers, body } = sending;
    // `reset: false`: undici would else close the connection after every HEAD.
    this.dispatcher.dispatch({ method, path, headers, body, reset: false }, new UndiciHandler(receiver));
  }

  close(): void {
    this.dispatcher.close(ignore);
  }

  destroy(): void {
    this.dispatcher.destroy(null, ignore);
  }
}

class UndiciHandler implements Dispatcher.DispatchHandler {
  constructor(private readonly receiver: Receiver) {}

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.receiver.onStart(controller satisfies Control);
  }

  onResponseStarted(): void {
    this.receiver.onAnswer();
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    const headers = text(controller.rawHeaders);
    if (status < 200) this.receiver.onInformation(status, headers);
    else this.receiver.onHead(status, headers);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.receiver.onData(chunk);
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    this.receiver.onEnd(text(controller.rawTrailers));
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    this.receiver.onError(error);
  }
}

function text(raw: Dispatcher.DispatchController['rawHeaders']): string[] {
  if (!Array.isArray(raw)) return [];
  const headers = new Array<string>(raw.length);
  for (let i = 0; i < raw.length; i++) {
    const part = raw[i]!;
    headers[i] = typeof part === 'string' ? part : part.toString('latin1');
  }
  return headers;
}

// Both report how they ended; by then nobody is left who could act on it.
function ignore(): void {}
