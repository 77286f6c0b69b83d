import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';

/** One request, ready to be written: no hop-by-hop headers in it. */
export interface Sending {
  method: string;
  path: string;
  headers: string[];
  /** A stream without a `content-length` among the headers is sent chunked. */
  body: Buffer | Readable | null;
  /** The head must be seen before the first byte of a streaming body. */
  headFirst: boolean;
  /** It asks to switch protocols, and the answer may do so. */
  switches?: boolean;
}

/** Steers the other side's answer. */
export interface Control {
  pause(): void;
  resume(): void;
  /** Ends the exchange at once; its connection is not used again. */
  abort(error: Error): void;
}

/** Who gets the answer: `onStart`, `onAnswer`, any `onInformation`, `onHead`, `onData`, and one of `onEnd` and `onError`. */
export interface Receiver {
  /** The request is about to be written: up to here no byte of it has left. Again where it starts anew on another connection. */
  onStart(control: Control): void;
  /** The first byte of an answer came. */
  onAnswer(): void;
  onInformation(status: number, headers: string[]): void;
  onHead(status: number, headers: string[]): void;
  onData(chunk: Buffer): void;
  /** All that came in one read has been told, and was sound. */
  onSound(): void;
  onEnd(trailers: string[]): void;
  /** In place of an answer. `rest` came behind the head; the socket is the receiver's from here on, nobody else listens to it. */
  onSwitch?(headers: string[], rest: Buffer, socket: Socket): void;
  /** @param sent false: provably no byte of the request reached the other side */
  onError(error: Error, sent: boolean): void;
}

/** The other side of exchanges. Whatever speaks HTTP/1.1 underneath can be replaced behind this. */
export interface Upstream {
  /** Never throws: what goes wrong is told to the receiver. */
  send(sending: Sending, receiver: Receiver): void;
  /** True while a request could be sent without a new connection being made. */
  readonly connected: boolean;
  /** Counts what was read from the other side: as long as it grows, that side is not silent. */
  readonly heard: number;
  /** Ends now, with whatever runs. */
  destroy(): void;
}
