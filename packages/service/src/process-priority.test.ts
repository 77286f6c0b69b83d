import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { afterEach, describe, expect, it } from 'vitest';
import { resetPriority } from './process-priority.js';

const AUTOGROUP = '/proc/self/autogroup';
const SCRIPT = `
  const { raisePriority } = await import(${JSON.stringify(new URL('./process-priority.ts', import.meta.url).href)});
  raisePriority();
  console.log('gone');
  setInterval(() => {}, 1000);
`;
const children: ChildProcess[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

async function start(options: { detached?: boolean; uid?: number }): Promise<number> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', SCRIPT], { ...options, stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  await once(child.stdout!, 'data');
  return child.pid!;
}

function groupNice(pid: number | 'self'): number {
  return Number(/nice (-?\d+)/.exec(readFileSync(`/proc/${pid}/autogroup`, 'utf8'))?.[1]);
}

describe.runIf(process.getuid?.() === 0)('a process through which calls pass', () => {
  it('goes first, and its session with it where that is its own', async () => {
    const pid = await start({ detached: true });
    expect(getPriority(pid)).toBe(-10);
    if (existsSync(AUTOGROUP)) expect(groupNice(pid)).toBe(-10);
  });

  it('leaves the session of others as it is', async () => {
    if (!existsSync(AUTOGROUP)) return;
    const before = groupNice('self');
    await start({ detached: false });
    expect(groupNice('self')).toBe(before);
  });

  it('runs as everybody where it may not', async () => {
    expect(getPriority(await start({ detached: true, uid: 65_534 }))).toBe(getPriority());
  });

  it('has children that wait as others do', async () => {
    const pid = await start({ detached: true });
    resetPriority(pid);
    expect(getPriority(pid)).toBe(0);
    resetPriority(2 ** 22);
  });
});
