import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRedis } from './cluster-programs.js';
import { freePorts } from './ports.js';
import type { Program } from './program.js';
import { until } from './until.js';

const START_MS = 20_000;
const STOP_MS = 5000;

/** A `redis-server` of the test's own: every write is appended to a file, nothing is evicted. */
export async function startTestRedis(): Promise<TestRedis> {
  const [port] = (await freePorts(1)) as [number];
  const redis = new TestRedis(port, mkdtempSync(join(tmpdir(), 'kiln-redis-')));
  try {
    await redis.answers();
    return redis;
  } catch (error) {
    await redis.stop();
    throw error;
  }
}

export class TestRedis {
  readonly url: string;
  private program: Program;

  constructor(
    readonly port: number,
    readonly folder: string,
  ) {
    this.url = `redis://127.0.0.1:${port}`;
    this.program = startRedis(port, folder);
  }

  get pid(): number {
    return this.program.pid;
  }

  /** kill -9, and its confirmed end. */
  async kill(): Promise<void> {
    this.program.kill('SIGKILL');
    await this.program.exited;
  }

  /** The same server on the same files, after `kill`. */
  async restart(): Promise<void> {
    this.program = this.program.again();
    await this.answers();
  }

  /** Stops answering without closing its connections, until `thaw`. */
  freeze(): void {
    this.program.kill('SIGSTOP');
  }

  thaw(): void {
    this.program.kill('SIGCONT');
  }

  async stop(): Promise<void> {
    this.thaw();
    await this.program.end(STOP_MS);
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Waits until it has read its files. */
  async answers(): Promise<void> {
    await until(`redis-server answers\n${this.program.stdout.slice(-2000)}`, () => this.program.alive && ping(this.port), START_MS);
  }
}

/** One command to a Redis on this machine, for tests that do to it what an operator or an accident does; the first line of the answer. */
export function commandRedis(port: number, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: '127.0.0.1', port });
    socket.once('error', reject);
    socket.once('data', (data) => {
      socket.destroy();
      resolve(data.toString('latin1').split('\r\n', 1)[0] as string);
    });
    socket.write(`${command}\r\n`);
  });
}

function ping(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: '127.0.0.1', port });
    const settle = (answers: boolean) => {
      socket.destroy();
      resolve(answers);
    };
    socket.setTimeout(1000, () => settle(false));
    socket.once('error', () => settle(false));
    socket.once('data', (data) => settle(data.toString('latin1').startsWith('+PONG')));
    socket.write('PING\r\n');
  });
}
