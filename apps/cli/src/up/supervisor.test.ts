import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { tell } from '../failure.js';
import { Terminal } from '../output/terminal.js';
import type { MemberSpec } from './member.js';
import { RunningFile, readRunning } from './running-file.js';
import { Supervisor } from './supervisor.js';

let folder: string;
let said: string;
let supervisor: Supervisor;
let insisted: AbortController;

const NODES = ['node-1', 'node-2'];
/** Writes down when it is told to end, and when it does. */
const DRAINING = `
  const note = (what) => console.log(what + ' ' + Date.now());
  process.on('SIGTERM', () => { note('told'); setTimeout(() => { note('ended'); process.exit(0); }, 300); });
  console.log('up');
  setInterval(() => {}, 1000);
`;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kiln-cli-'));
  said = '';
  insisted = new AbortController();
  const stderr = new PassThrough().on('data', (chunk) => {
    said += String(chunk);
  });
  const never = new AbortController().signal;
  const terminal = new Terminal({
    stdin: Readable.from([]),
    stdout: new PassThrough(),
    stderr,
    interrupted: never,
    insisted: insisted.signal,
  });
  const running = RunningFile.take(join(folder, 'up.json'));
  // Nobody listens there: what is left on an engine is no matter of these tests.
  const leftovers = { home: folder, dockerHost: `unix://${join(folder, 'none.sock')}`, nodeIds: NODES };
  supervisor = new Supervisor({ terminal, running, leftovers, drainTimeoutMs: 1000 });
});

afterEach(async () => {
  await supervisor.stop();
  rmSync(folder, { recursive: true, force: true });
});

function spec(name: string, program: string): MemberSpec {
  return {
    name,
    title: name,
    command: process.execPath,
    args: ['-e', program],
    env: {},
    logFile: join(folder, `${name}.log`),
    channel: true,
  };
}

const log = (name: string) => readFileSync(join(folder, `${name}.log`), 'utf8');
const wroteUp = async (name: string) => log(name).includes('up');
const told = (name: string) => Number(/told (\d+)/.exec(log(name))?.[1]);
const ended = (name: string) => Number(/ended (\d+)/.exec(log(name))?.[1]);

describe('the supervisor', () => {
  it('ends the router first, then the agents together, then Redis', async () => {
    await supervisor.start([spec('redis', DRAINING)], wroteUp, 10_000);
    await supervisor.start(
      ['router', ...NODES].map((name) => spec(name, DRAINING)),
      wroteUp,
      10_000,
    );
    expect(said).toContain('node-2 is up');
    await supervisor.stop();
    expect(told('node-1')).toBeGreaterThanOrEqual(ended('router'));
    expect(told('node-2')).toBeLessThan(ended('node-1'));
    expect(told('redis')).toBeGreaterThanOrEqual(Math.max(ended('node-1'), ended('node-2')));
  });

  it('starts again what is killed', async () => {
    await supervisor.start([spec('node-1', DRAINING)], wroteUp, 10_000);
    supervisor.nowUp();
    const pid = () => readRunning(join(folder, 'up.json'))?.children['node-1']?.pid;
    const first = pid() as number;
    process.kill(first, 'SIGKILL');
    await expect.poll(pid, { timeout: 10_000 }).not.toBe(first);
    expect(said).toContain('node-1 ended (SIGKILL); restarting it in 250 ms');
  });

  it('shows the last lines of one that ends at its start', async () => {
    const broken = supervisor.start([spec('router', "console.error('KILN_X is wrong'); process.exit(1)")], async () => false, 10_000);
    const failure = tell(await broken.catch((error: unknown) => error));
    expect(failure.exitCode).toBe(1);
    expect(failure.message).toContain('router ended during its start (exit code 1)');
    expect(failure.message).toContain('  | KILN_X is wrong');
  });

  it('waits a bounded time for one that stays silent', async () => {
    const silent = supervisor.start([spec('router', DRAINING)], async () => false, 300);
    expect(tell(await silent.catch((error: unknown) => error)).message).toContain('router did not start in time');
  });

  it('waits for one that works, however slow the machine is', async () => {
    const slow = "const until = Date.now() + 2000; while (Date.now() < until); console.log('up'); setInterval(() => {}, 1000)";
    await supervisor.start([spec('router', slow), spec('node-1', DRAINING)], async () => log('router').includes('up'), 700);
    expect(said).toContain('router is up');
  });

  it('says how to get a Redis where there is none', async () => {
    const missing = { ...spec('redis', ''), command: 'redis-server', env: { PATH: folder } };
    const failure = tell(await supervisor.start([missing], async () => false, 10_000).catch((error: unknown) => error));
    expect(failure.fix).toContain('KILN_REDIS_URL');
  });

  it('kills at once when interrupted twice', async () => {
    const stubborn = "process.on('SIGTERM', () => {}); console.log('up'); setInterval(() => {}, 1000)";
    await supervisor.start([spec('node-1', stubborn)], wroteUp, 10_000);
    const began = performance.now();
    const stopping = supervisor.stop();
    insisted.abort();
    await stopping;
    expect(performance.now() - began).toBeLessThan(900);
  });
});
