import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { expect, it } from 'vitest';
import { draft } from '../state.fixture.js';
import { CHANGES, FUNCTIONS, NUMBERS, versionsKey } from '../store/keys.js';
import { redis, store, withStore } from '../with-store.fixture.js';
import { FunctionStore } from './function-store.js';

/** The size of the promise, and its bound, with KILN_E2E_FULL=1 on a machine that does nothing else; less otherwise. */
const FULL = process.env['KILN_E2E_FULL'] === '1';
const MANY = FULL ? 10_000 : 1000;
const VERSIONS = 20;
const ALLOWED_MS = FULL ? 5 : 100;
const NAME = 'function-7';

withStore();

/** As deployments of the past have left them. */
async function fill(): Promise<void> {
  const raw = new Redis(redis.url);
  const createdAt = new Date().toISOString();
  const times = { createdAt, updatedAt: createdAt };
  const traffic = [{ version: VERSIONS, weight: 100 }];
  for (let i = 0; i < MANY; i += 1) {
    const name = `function-${i}`;
    const record = { name, revision: 1, lastVersion: VERSIONS, traffic, previousTraffic: [], sticky: false, ...times };
    const version = (number: number) => JSON.stringify({ ...draft, function: name, version: number, state: 'ready', createdAt });
    const versions = Array.from({ length: VERSIONS }, (_, n) => [String(n + 1), version(n + 1)]);
    const filling = raw.pipeline().hset(FUNCTIONS, name, JSON.stringify(record)).hset(NUMBERS, name, VERSIONS);
    await filling.hset(versionsKey(name), ...versions.flat()).exec();
  }
  await raw.incr(CHANGES);
  raw.disconnect();
}

/** Processor time, in ms, of the longest piece of work that others had to wait for while `work` ran. */
async function longestTurn(work: () => Promise<unknown>): Promise<number> {
  let longest = 0;
  let last = process.threadCpuUsage();
  const timer = setInterval(() => {
    const now = process.threadCpuUsage();
    longest = Math.max(longest, (now.user + now.system - last.user - last.system) / 1000);
    last = now;
  }, 1);
  await delay(20);
  longest = 0;
  await work();
  await delay(20);
  clearInterval(timer);
  return longest;
}

it('one deployment among many functions keeps nobody waiting', async () => {
  await fill();
  const [reader, writer] = [new FunctionStore(store), new FunctionStore(store)];
  const all = await reader.listAll();
  expect(all).toHaveLength(MANY);
  // Each of these was read once before: what is measured is no code that runs for the first time.
  const deployed = async () => {
    const { version } = await writer.createVersion(NAME, draft);
    await writer.markReady(NAME, version);
    await writer.setTraffic(NAME, [{ version, weight: 100 }]);
    return version;
  };
  const turns: number[] = [];
  for (let i = 0; i < 5; i += 1) {
    const version = await deployed();
    turns.push(await longestTurn(() => reader.listAll()));
    const entry = (await reader.listAll()).find((each) => each.function.name === NAME);
    expect([entry?.function.traffic, entry?.versions.at(-1)?.version]).toEqual([[{ version, weight: 100 }], version]);
  }
  console.info(
    `${MANY} functions of ${VERSIONS} versions: the longest turn after a deployment took ${turns.map((ms) => ms.toFixed(1))} ms`,
  );
  expect(Math.max(...turns)).toBeLessThan(ALLOWED_MS);
}, 120_000);
