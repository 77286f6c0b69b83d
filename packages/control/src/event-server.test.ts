import { connectionOptions } from '@kiln/state/connection-options';
import { startTestRedis } from '@kiln/testing/redis';
import { expect, it, onTestFinished } from 'vitest';
import { EventClient } from './event-client.js';
import { EventServer } from './event-server.js';

it('hears events whenever Redis is there, though it was away at the start and in between', async () => {
  const redis = await startTestRedis();
  onTestFinished(() => redis.stop());
  await redis.kill();
  const outages: string[] = [];
  const log = { warn: (_details: object, message: string) => outages.push(message) };
  const server = new EventServer(connectionOptions(redis.url), log);
  const client = new EventClient(connectionOptions(redis.url), log);
  const heard: string[] = [];
  server.addHandler('changed', async ({ name }: { name: string }) => heard.push(name), true);
  await server.listen(() => undefined);
  onTestFinished(async () => {
    client.close();
    await server.close();
  });

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
  expect(outages.filter((message) => message === 'control events are away').length).toBeLessThan(6);
}, 60_000);
