import net, { type AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { onTestFinished } from 'vitest';
import { connectTo, type Upstream } from './upstream.js';
import type { Control, Receiver, Sending } from './upstream-port.js';

/** A server of raw bytes, and what it has seen. */
export async function rawServer(onData: (socket: net.Socket, text: string) => void) {
  const sockets: net.Socket[] = [];
  const server = net.createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => onData(socket, String(chunk)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { port: (server.address() as AddressInfo).port, sockets, server };
}

export function to(port: number, more: { idleTimeout?: number } = {}): Upstream {
  const upstream = connectTo({ host: '127.0.0.1', port, ...more });
  onTestFinished(() => upstream.destroy());
  return upstream;
}

/** Keeps what came back. */
export class Kept implements Receiver {
  control: Control | undefined;
  status = 0;
  body = '';
  readonly done = Promise.withResolvers<'end' | Error>();
  onStart(control: Control): void {
    this.control = control;
  }
  onAnswer(): void {}
  onInformation(): void {}
  onHead(status: number): void {
    this.status = status;
  }
  onData(chunk: Buffer): void {
    this.body += chunk;
  }
  onSound(): void {}
  onEnd(): void {
    this.done.resolve('end');
  }
  sent: boolean | undefined;
  onError(error: Error, sent: boolean): void {
    this.sent = sent;
    this.done.resolve(error);
  }
}

export function send(upstream: Upstream, sending: Partial<Sending> = {}): Kept {
  const kept = new Kept();
  upstream.send({ method: 'GET', path: '/', headers: [], body: null, headFirst: false, ...sending }, kept);
  return kept;
}

export const ok = (body: string, header = 'X: y') => `HTTP/1.1 200 OK\r\n${header}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
export const reading = (chunks: Iterable<Buffer>) => Readable.from(chunks, { objectMode: false });
