import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { tell } from '../failure.js';
import { homePaths } from '../home.js';
import { loadCluster, makeMasterKey, nodeIds } from './files/cluster-file.js';
import { LogFile } from './files/log-file.js';
import { writePrivate } from './files/private-file.js';
import { SupervisedProcess } from './member.js';
import { findFree, requireFree } from './ports.js';
import { end, identify, isAlive } from './processes.js';
import { RunningFile } from './running-file.js';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kiln-cli-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function refusal(action: () => unknown) {
  try {
    action();
  } catch (error) {
    return tell(error);
  }
  throw new Error('was not refused');
}

describe('private files', () => {
  it('are readable by their owner alone, also when they replace another', () => {
    const file = join(folder, 'secret');
    writeFileSync(file, 'old', { mode: 0o644 });
    writePrivate(file, 'new');
    expect(readFileSync(file, 'utf8')).toBe('new');
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });
});

describe('the cluster file', () => {
  it('is made once and then kept', () => {
    const file = join(folder, 'cluster.json');
    const made = loadCluster(file);
    expect(made.adminKey).toMatch(/^kiln_[0-9A-Za-z]{12}_[0-9A-Za-z]{40}$/);
    expect(loadCluster(file)).toEqual(made);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('is never replaced when it can not be read', () => {
    const file = join(folder, 'cluster.json');
    writeFileSync(file, '{');
    expect(refusal(() => loadCluster(file)).message).toContain(file);
    expect(readFileSync(file, 'utf8')).toBe('{');
  });

  it('names the nodes of two homes apart, and those of one always the same', () => {
    expect(nodeIds('/a', 2)).toEqual(nodeIds('/a', 3).slice(0, 2));
    expect(nodeIds('/a', 1)).not.toEqual(nodeIds('/b', 1));
    expect(nodeIds('/a', 1)[0]).toMatch(/^node-1-[0-9a-f]{5}$/);
  });
});

describe('the master key', () => {
  it('is 32 random bytes in a private file, made once and then kept', () => {
    const home = homePaths(folder);
    const file = home.masterKey;
    makeMasterKey(home);
    const made = readFileSync(file, 'utf8');
    expect(Buffer.from(made, 'base64')).toHaveLength(32);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    makeMasterKey(home);
    expect(readFileSync(file, 'utf8')).toBe(made);
  });

  it('that is lost is not replaced, unless it is being changed', () => {
    const home = homePaths(folder);
    makeMasterKey(home);
    loadCluster(home.cluster);
    renameSync(home.masterKey, home.masterKeyPrevious);
    makeMasterKey(home);
    expect(readFileSync(home.masterKey, 'utf8')).not.toBe(readFileSync(home.masterKeyPrevious, 'utf8'));
    rmSync(home.masterKeyPrevious);
    rmSync(home.masterKey);
    expect(() => makeMasterKey(home)).toThrow(/master\.key is gone.*sealed with/);
    expect(existsSync(home.masterKey)).toBe(false);
  });
});

describe('ports', () => {
  it('names the taken port and the variable that chooses another', async () => {
    const server = net.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as net.AddressInfo;
    try {
      const error = await requireFree('127.0.0.1', port, 'KILN_HTTP_PORT').catch(tell);
      expect(error).toMatchObject({
        exitCode: 1,
        message: expect.stringContaining(`port ${port}`),
        fix: expect.stringContaining('KILN_HTTP_PORT='),
      });
      const found = await findFree('127.0.0.1', port, { length: 2, taken: new Set([port + 2]) });
      expect(found).toBeGreaterThan(port + 2);
    } finally {
      server.close();
    }
  });
});

describe('processes', () => {
  it('are told apart by when they began', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    const known = identify(child.pid as number);
    expect(known && isAlive(known)).toBe(true);
    expect(isAlive({ pid: child.pid as number, started: 'another time' })).toBe(false);
    await end({ pid: child.pid as number, started: 'another time' }, 100);
    expect(known && isAlive(known)).toBe(true);
    if (known) await end(known, 5000);
    expect(known && isAlive(known)).toBe(false);
  });

  it('are killed when they do not end by themselves', async () => {
    const program = "process.on('SIGTERM', () => {}); console.log('up'); setInterval(() => {}, 1000)";
    const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'ignore'] });
    await once(child.stdout, 'data');
    const known = identify(child.pid as number);
    if (known) await end(known, 200);
    expect(known && isAlive(known)).toBe(false);
  });
});

describe('the running file', () => {
  it('keeps a second one out, and is taken over from one that is dead', () => {
    const file = join(folder, 'up.json');
    const taken = RunningFile.take(file);
    expect(refusal(() => RunningFile.take(file))).toMatchObject({ code: 'conflict', exitCode: 6 });
    taken.setChild('redis', process.pid);
    writePrivate(file, readFileSync(file, 'utf8').replace(/"started":"[^"]*"\},"children"/, '"started":"0"},"children"'));
    const next = RunningFile.take(file);
    expect(next.left?.children['redis']?.pid).toBe(process.pid);
    next.release();
    expect(RunningFile.take(file).left).toBeUndefined();
  });

  it('is not in the way when it was cut off', () => {
    const file = join(folder, 'up.json');
    writeFileSync(file, '{"superv');
    expect(RunningFile.take(file).left).toBeUndefined();
  });
});

describe('log files', () => {
  it('are bounded and show the last lines of the newest process only', () => {
    const log = new LogFile(join(folder, 'a.log'));
    writeFileSync(log.path, 'of an earlier one\n');
    log.open();
    appendFileSync(log.path, 'first\nlast\n');
    expect(log.tail()).toBe('first\nlast');
    appendFileSync(log.path, 'x'.repeat(9 * 1024 * 1024));
    log.rotate();
    expect(statSync(log.path).size).toBe(0);
    expect(statSync(`${log.path}.1`).size).toBeGreaterThan(8 * 1024 * 1024);
    expect(log.tail()).toBe('');
  });
});

describe('a member', () => {
  const spec = (program: string) => ({
    name: 'x',
    title: 'x',
    command: process.execPath,
    args: ['-e', program],
    env: {},
    logFile: join(folder, 'x.log'),
    channel: true,
  });

  it('is started again when it dies, later each time, and ends when stopped', async () => {
    const waits: number[] = [];
    const pids: number[] = [];
    const member = new SupervisedProcess(spec('process.exit(3)'), {
      spawned: (_member, pid) => pids.push(pid),
      died: (_member, how, againInMs) => {
        expect(how).toBe('exit code 3');
        waits.push(againInMs);
      },
    });
    member.start();
    await expect.poll(() => waits.length, { timeout: 10_000 }).toBe(3);
    expect(await member.stop(1000)).toBe('ended');
    expect(waits).toEqual([250, 500, 1000]);
    expect(new Set(pids).size).toBe(3);
  });

  it('is killed past the bound', async () => {
    const member = new SupervisedProcess(spec("process.on('SIGTERM', () => {}); console.log('up'); setInterval(() => {}, 1000)"), {
      spawned: () => {},
      died: () => expect.unreachable(),
    });
    member.start();
    await expect.poll(() => member.log.tail(), { timeout: 10_000 }).toBe('up');
    expect(await member.stop(100)).toBe('killed');
  });

  it('says what could not be started', async () => {
    const deaths: string[] = [];
    const member = new SupervisedProcess(
      { ...spec(''), command: 'no-such-program' },
      { spawned: () => expect.unreachable(), died: (_member, how) => deaths.push(how) },
    );
    member.start();
    await expect.poll(() => deaths[0], { timeout: 10_000 }).toContain('ENOENT');
    await member.stop(100);
  });
});

describe('a Node child', () => {
  it('ends as on SIGTERM when its supervisor is killed', async () => {
    const guard = new URL('./end-with-supervisor.ts', import.meta.url).href;
    const child = "process.on('SIGTERM', () => { console.log('told'); process.exit(); }); console.log('up'); setInterval(() => {}, 1000);";
    const args = JSON.stringify(['--import', guard, '--eval', child]);
    const options = "{ detached: true, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }";
    const supervisor = `require('node:child_process').spawn(process.execPath, ${args}, ${options});`;
    const parent = spawn(process.execPath, ['--eval', supervisor], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    parent.stdout.on('data', (chunk) => {
      output += String(chunk);
    });
    await expect.poll(() => output, { timeout: 10_000 }).toContain('up');
    parent.kill('SIGKILL');
    await expect.poll(() => output, { timeout: 10_000 }).toContain('told');
  });
});
