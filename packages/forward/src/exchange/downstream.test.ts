import { EventEmitter } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { KilnError } from '@kiln/contract/errors';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { connectTo } from '../client/upstream.js';
import type { Downstream } from '../server/downstream.js';
import { NO_BODY } from '../server/http-server.js';
import { forward } from './forward.js';

const LARGE = 8 * 1024 * 1024;

/** Takes an answer into memory, as long as it has room: nobody is connected. */
class Kept implements Downstream {
  readonly events = new EventEmitter();
  readonly heads: [number, string[]][] = [];
  readonly chunks: Buffer[] = [];
  started = false;
  gone = false;
  heldBack = false;
  bytesTaken = 0;
  ended = false;
  wasCut = false;

  constructor(private readonly room = Number.POSITIVE_INFINITY) {}

  onGone(listener: () => void): void {
    this.events.on('gone', listener);
  }

  offGone(listener: () => void): void {
    this.events.off('gone', listener);
  }

  onDrain(listener: () => void): void {
    this.events.on('drain', listener);
  }

  inform(): void {}

  flush(): void {}

  begin(status: number, lines: string[]): void {
    this.started = true;
    this.heads.push([status, lines]);
  }

  write(chunk: Buffer): boolean {
    this.chunks.push(chunk);
    this.bytesTaken += chunk.length;
    this.heldBack = this.bytesTaken >= this.room;
    return !this.heldBack;
  }

  end(last: Buffer | undefined): void {
    if (last !== undefined) this.write(last);
    this.ended = true;
  }

  cut(): void {
    this.wasCut = true;
  }

  destroy(): void {
    this.gone = true;
    this.events.emit('gone');
  }

  fail(error: KilnError): void {
    throw error;
  }
}

async function answering(answer: http.RequestListener) {
  const server = http.createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const upstream = connectTo({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
  onTestFinished(() => {
    upstream.destroy();
    server.closeAllConnections();
    server.close();
  });
  return (to: Downstream) => {
    const request = { method: 'GET', path: '/', headers: ['Host', 'nobody'] };
    return forward(request, to, upstream, { body: NO_BODY, onHead: (_status, headers) => headers });
  };
}

describe('an answer that goes to no socket', () => {
  it('comes with its head, its bytes and its end', async () => {
    const call = await answering((_request, response) => {
      response.write('first ');
      setTimeout(() => response.end('last'), 20);
    });
    const kept = new Kept();
    expect(await call(kept).outcome).toEqual({ kind: 'relayed', status: 200 });
    expect(kept.heads.map(([status]) => status)).toEqual([200]);
    expect([Buffer.concat(kept.chunks).toString(), kept.ended]).toEqual(['first last', true]);
  });

  it('comes no faster than it is taken', async () => {
    let written = false;
    const call = await answering((_request, response) => {
      response.end(Buffer.alloc(LARGE), () => {
        written = true;
      });
    });
    const kept = new Kept(100_000);
    const { outcome } = call(kept);
    await vi.waitFor(() => expect(kept.heldBack).toBe(true));
    const before = kept.bytesTaken;
    expect([written, before < LARGE]).toEqual([false, true]);
    while (!kept.ended) {
      kept.events.emit('drain');
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect([(await outcome).kind, kept.bytesTaken]).toEqual(['relayed', LARGE]);
  });

  it('ends what runs where whoever asked is gone, and is cut where it breaks', async () => {
    const closed = vi.fn();
    const call = await answering((request, response) => {
      request.socket.on('close', closed);
      response.writeHead(200, { 'content-length': 10 }).write('half');
    });
    const [left, broken] = [new Kept(), new Kept()];
    const leaving = call(left);
    await vi.waitFor(() => expect(left.started).toBe(true));
    left.destroy();
    expect(await leaving.outcome).toEqual({ kind: 'client_gone', over: false });
    await vi.waitFor(() => expect(closed).toHaveBeenCalledOnce());
    const breaking = call(broken);
    await vi.waitFor(() => expect(broken.started).toBe(true));
    breaking.abort('enough');
    expect(await breaking.outcome).toMatchObject({ kind: 'aborted', reason: 'enough', responseStarted: true });
    expect(broken.wasCut).toBe(true);
  });
});
