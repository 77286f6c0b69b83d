import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '@kiln/testing/until';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WorkNotices } from './work-notices.js';

let folder: string;
let path: string;
let notices: WorkNotices;
let misuses: number;
const runners: net.Socket[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kiln-'));
  path = join(folder, 'work.sock');
  misuses = 0;
  notices = await WorkNotices.open(path, () => misuses++);
});
afterEach(() => {
  for (const runner of runners.splice(0)) runner.destroy();
  notices.destroy();
  rmSync(folder, { recursive: true });
});

async function connect(): Promise<net.Socket> {
  const runner = net.connect(path).on('error', () => undefined);
  runners.push(runner);
  await once(runner, 'connect');
  return runner;
}

describe('notices of work that has ended', () => {
  it('end the waiting for that connection and no other, in any pieces', async () => {
    expect(notices.connected).toBe(false);
    const runner = await connect();
    await until('it is connected', () => notices.connected);
    const ended: number[] = [];
    for (const connection of [1, 22]) void notices.ended(connection).then(() => ended.push(connection));
    for (const piece of ['end', 'ed 2', '2\nend']) {
      runner.write(piece);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until('one has ended', () => ended.length === 1);
    expect(ended).toEqual([22]);
    runner.write('ed 1\n');
    await until('both have ended', () => ended.length === 2);
    expect([notices.kept, misuses]).toEqual([0, 0]);
  });

  it('may come before anybody waits', async () => {
    (await connect()).write('ended 7\n');
    await until('it is known', () => notices.kept === 1);
    await notices.ended(7);
    expect(notices.kept).toBe(0);
  });

  it('for which nobody waits are kept in a bounded number', async () => {
    const runner = await connect();
    for (let i = 1; i <= 5000; i++) runner.write(`ended ${i}\n`);
    void notices.ended(9999);
    runner.write('ended 5001\n');
    await notices.ended(5001);
    expect(notices.kept).toBeLessThanOrEqual(101);
  });

  it('end with the instance', async () => {
    const waiting = notices.ended(1);
    notices.destroy();
    await waiting;
    await notices.ended(2);
    expect(notices.kept).toBe(0);
  });

  it.each([
    ['other words', 'hello\n'],
    ['no number', 'ended x\n'],
    ['a line without end', 'x'.repeat(100)],
    ['more than any runner says', 'ended 1\n'.repeat(100_000)],
  ])('cut off who says %s', async (_what, text) => {
    const runner = await connect();
    runner.write(text);
    await until('its connection ends', () => runner.destroyed);
    await until('it counts as misuse', () => misuses === 1);
    expect(notices.connected).toBe(false);
  });

  it('come over one connection at a time', async () => {
    const first = await connect();
    await until('it is connected', () => notices.connected);
    await once(await connect(), 'close');
    expect([first.destroyed, misuses]).toEqual([false, 1]);
  });
});
