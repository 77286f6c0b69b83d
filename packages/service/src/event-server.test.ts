import { once } from 'node:events';
import net from 'node:net';
import { connectionOptions } from '@kiln/state/store/connection-options';
import { startTestRedis } from '@kiln/testing/redis';
import { until } from '@kiln/testing/until';
import { expect, it, onTestFinished } from 'vitest';
import { EventClient } from './event-client.js';
import { EventServer } from './event-server.js';

it('hears events whenever Redis is there, though it was away at the start and in between', async () => {
  const redis = await startTestRedis();
  onTestFinished(() => redis.stop());
  await redis.kill();
  const { heard, outages, client } = await listening(redis.url, redis.url);

  await client.emit('changed', { name: 'lost' });
  expect(heard).toEqual([]);
  for (const life of ['first', 'second']) {
    await redis.restart();
    await expect
      .poll(
        async () => {
          await client.emit('changed', { name: life });
          return heard.includes(life);
        },
        { timeout: 20_000, interval: 100 },
      )
      .toBe(true);
    await redis.kill();
  }
  expect(heard).not.toContain('lost');
  expect(outages.filter((message) => message === 'control event connection failed').length).toBeLessThan(6);
}, 60_000);

it('hears events though connections break before Redis has confirmed what it listens to', async () => {
  const redis = await startTestRedis();
  onTestFinished(() => redis.stop());
  const way = await startBreakingWay(redis.port, 3);
  onTestFinished(() => way.close());
  const { heard, client } = await listening(`redis://127.0.0.1:${way.port}`, redis.url);
  await until('an event is heard', async () => {
    await client.emit('changed', { name: 'f' });
    return heard.length > 0;
  });
  expect(way.broken()).toBe(3);
  // A subscription cut off twice over is no two subscriptions.
  const before = heard.length;
  await client.emit('changed', { name: 'last' });
  await until('the last is heard', async () => heard.includes('last'));
  expect(heard.slice(before).filter((name) => name === 'last')).toEqual(['last']);
}, 60_000);

/** Who hears of changes by one way to Redis, and who tells of them by another. */
async function listening(serverUrl: string, clientUrl: string): Promise<{ heard: string[]; outages: string[]; client: EventClient }> {
  const heard: string[] = [];
  const outages: string[] = [];
  const log = { warn: (_details: object, message: string) => outages.push(message) };
  const server = new EventServer(connectionOptions(serverUrl), log);
  const client = new EventClient(connectionOptions(clientUrl), log);
  server.addHandler('changed', async ({ name }: { name: string }) => heard.push(name), true);
  await server.listen(() => undefined);
  onTestFinished(async () => {
    client.close();
    await server.close();
  });
  return { heard, outages, client };
}

/** A way to Redis that breaks a connection instead of passing on that it subscribes, so many times. */
async function startBreakingWay(redisPort: number, times: number): Promise<{ port: number; broken(): number; close(): void }> {
  let broken = 0;
  const sockets = new Set<net.Socket>();
  const listener = net.createServer((socket) => {
    const beyond = net.connect(redisPort, '127.0.0.1');
    for (const end of [socket, beyond]) {
      sockets.add(end);
      end.on('error', () => undefined);
      end.on('close', () => {
        for (const each of [socket, beyond]) each.destroy();
      });
    }
    beyond.pipe(socket);
    socket.on('data', (chunk) => {
      if (broken < times && chunk.includes('subscribe')) {
        broken += 1;
        socket.destroy();
      } else beyond.write(chunk);
    });
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const close = () => {
    listener.close();
    for (const socket of sockets) socket.destroy();
  };
  return { port: (listener.address() as net.AddressInfo).port, broken: () => broken, close };
}
