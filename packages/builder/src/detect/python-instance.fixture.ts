import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http, { type IncomingHttpHeaders } from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { engine } from '@kiln/testing/engine';
import type Dockerode from 'dockerode';
import { afterEach } from 'vitest';

const RUNNER = join(import.meta.dirname, '../../../runner/python');
const running: Instance[] = [];
afterEach(async () => {
  for (const instance of running.splice(0)) await instance.end();
});

interface Options {
  method?: string;
  path?: string;
  headers?: Record<string, string>;
  body?: string | string[];
}

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
}

/** The runner in a container, and the agent's end of its socket. */
class Instance {
  private readonly folder = mkdtempSync(join(tmpdir(), 'kiln-python-'));
  private readonly idle: net.Socket[] = [];
  private readonly waiting: ((socket: net.Socket) => void)[] = [];
  private container: Dockerode.Container | undefined;
  opened = 0;
  /** Keeps connections, as the agent does, and opens none: takes those that the runner opened. */
  private readonly agent = new http.Agent({ keepAlive: true });
  private readonly server = net.createServer((socket) => {
    this.opened += 1;
    socket.on('error', () => undefined);
    this.give(socket);
  });

  async start(files: Record<string, string>): Promise<void> {
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(this.folder, 'app', path)), { recursive: true });
      writeFileSync(join(this.folder, 'app', path), content);
    }
    mkdirSync(join(this.folder, 'run'));
    await new Promise<void>((resolve) => this.server.listen(join(this.folder, 'run/agent.sock'), resolve));
    for (const path of [this.folder, join(this.folder, 'run/agent.sock')]) chmodSync(path, 0o777);
    const all = { KILN_SOCKET: '/run/kiln/agent.sock', KILN_FUNCTION: 'f', PYTHONDONTWRITEBYTECODE: '1', ...this.env };
    this.container = await engine.createContainer({
      Image: 'python:3.13-slim-trixie',
      Entrypoint: ['python', '/opt/kiln/runner.py'],
      WorkingDir: '/app',
      User: '65532:65532',
      Env: Object.entries(all).map(([name, value]) => `${name}=${value}`),
      HostConfig: {
        NetworkMode: 'none',
        ReadonlyRootfs: true,
        Init: true,
        PidsLimit: 128,
        Binds: [`${RUNNER}:/opt/kiln:ro`, `${join(this.folder, 'app')}:/app:ro`, `${join(this.folder, 'run')}:/run/kiln:ro`],
      },
    });
    await this.container.start();
  }

  connection(): Promise<net.Socket> {
    const socket = this.idle.shift();
    if (socket !== undefined) return Promise.resolve(socket);
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  async call({ method = 'GET', path = '/', headers = {}, body }: Options = {}): Promise<Answer> {
    const request = http.request({ method, path, headers, agent: this.agent });
    const answered = new Promise<http.IncomingMessage>((resolve, reject) => request.on('response', resolve).on('error', reject));
    for (const part of Array.isArray(body) ? body : []) request.write(part);
    request.end(typeof body === 'string' ? body : undefined);
    const response = await answered;
    return { status: response.statusCode ?? 0, headers: response.headers, text: await text(response) };
  }

  async logs(): Promise<string> {
    return (await this.container!.logs({ stdout: true, stderr: true })).toString();
  }

  async exitCode(): Promise<number> {
    return ((await this.container!.wait()) as { StatusCode: number }).StatusCode;
  }

  async end(): Promise<void> {
    this.server.close();
    this.agent.destroy();
    await this.container?.remove({ force: true, v: true });
    rmSync(this.folder, { recursive: true });
  }

  constructor(private readonly env: Record<string, string>) {
    this.agent.createConnection = (_options, callback) => {
      void this.connection().then((socket) => callback?.(null, socket));
      return undefined;
    };
  }

  private give(socket: net.Socket): void {
    const waiting = this.waiting.shift();
    if (waiting === undefined) this.idle.push(socket);
    else waiting(socket);
  }
}

export async function start(files: Record<string, string>, env: Record<string, string> = {}): Promise<Instance> {
  const instance = new Instance(env);
  running.push(instance);
  await instance.start(files);
  return instance;
}

/** Of an application called `app`. */
export const app = (source: string, env: Record<string, string> = {}) =>
  start({ 'app.py': source }, { KILN_ENTRY: 'app.py', KILN_HANDLER: 'app', ...env });
