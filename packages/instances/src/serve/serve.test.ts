import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Exchange } from '@kiln/forward/exchange/forward';
import { HttpDownstream } from '@kiln/forward/server/http-server';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { TimeLimit } from './serve.js';

describe('the time limit of an exchange', () => {
  afterEach(() => vi.useRealTimers());

  async function written(bytes: number): Promise<{ response: http.ServerResponse; end(): void }> {
    const server = http.createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const request = http.get({ port: (server.address() as AddressInfo).port, agent: false }).on('error', () => undefined);
    const [, response] = (await once(server, 'request')) as [unknown, http.ServerResponse];
    response.on('error', () => undefined).write(Buffer.alloc(bytes));
    return {
      response,
      end: () => {
        request.destroy();
        server.close();
      },
    };
  }

  it.each([
    ['ends one that its caller holds back for 40 s', 32 * 1024 * 1024, true],
    ['leaves one alone whose function is silent', 10, false],
  ])('%s', async (_what, bytes, cut) => {
    const { response, end } = await written(bytes);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const limit = new TimeLimit(new HttpDownstream(response), performance.now(), 900_000);
    limit.exchange = { abort: vi.fn() } as unknown as Exchange;
    expect(response.writableNeedDrain).toBe(bytes > 100);
    await vi.advanceTimersByTimeAsync(40_100);
    expect([response.destroyed, limit.late]).toEqual([cut, false]);
    expect(limit.exchange.abort).not.toHaveBeenCalled();
    limit.clear();
    end();
  });
});
