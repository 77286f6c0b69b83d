import { type ChildProcess, spawn } from 'node:child_process';
import type { FunctionConfig } from '@kiln/contract/config/function-config';
import { KilnError } from '@kiln/contract/errors';
import { DevDialIn } from './dial-in.js';
import { readModuleConfig } from './module-config.js';
import { Lines, type OutputLine, readOutputLine } from './output.js';
import type { FunctionSpec } from './spec.js';

/** After SIGTERM. */
const STOP_MS = 1000;
/** Requests that run when the code has changed end first, within this. */
const DRAIN_MS = 10_000;
const KEPT_LINES = 20;
/** Of this machine's own environment: a function must not come to depend on the rest. */
const INHERITED = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'TZ', 'NODE_EXTRA_CA_CERTS', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'];

export interface DevInstanceOptions {
  spec: FunctionSpec;
  socketPath: string;
  environment: Record<string, string | undefined>;
  /** The whole configuration, as the code before had it: good until that of this code is known. */
  lastConfig: FunctionConfig | undefined;
  onLine(line: OutputLine): void;
  /** It ended by itself after it was ready. */
  onDeath(instance: DevInstance): void;
}

/** One process that serves a function: the runner of the platform's own images, started as it is there. */
export class DevInstance {
  readonly exited: Promise<string>;
  /** As `kiln.json` says; what the module says below that is known a moment after the start. */
  config: FunctionConfig;
  isReady = false;
  leases = 0;
  private retired = false;
  private readonly dialIn: DevDialIn;
  private readonly end = Promise.withResolvers<string>();
  private readonly stopped = new AbortController();
  private readonly lastErrors: string[] = [];
  private child: ChildProcess | undefined;
  private drain: NodeJS.Timeout | undefined;

  constructor(private readonly options: DevInstanceOptions) {
    this.dialIn = new DevDialIn(options.socketPath);
    this.exited = this.end.promise;
    this.config = options.lastConfig ?? options.spec.config;
  }

  get spec(): FunctionSpec {
    return this.options.spec;
  }

  /** Whether it takes another request. */
  get hasRoom(): boolean {
    return this.isReady && !this.retired && this.leases < this.spec.config.concurrency;
  }

  /** From nothing to the runner's first connection. @throws KilnError with the last lines it wrote */
  async start(): Promise<void> {
    await this.dialIn.listen();
    if (this.retired) return this.dialIn.destroy();
    this.run();
    const { startTimeout } = this.spec.config;
    // Beside the first start, and after later ones: those should be quick.
    const reading = this.options.lastConfig === undefined ? this.readModuleConfig() : undefined;
    const late = Promise.withResolvers<'late'>();
    const timer = setTimeout(() => late.resolve('late'), startTimeout);
    const outcome = await Promise.race([this.dialIn.ready().then(() => 'ready' as const), this.exited, late.promise]);
    clearTimeout(timer);
    if (outcome !== 'ready') {
      this.stop();
      throw outcome === 'late' ? startTimedOut(startTimeout) : new KilnError('start_failed', [outcome, ...this.lastErrors].join('\n'));
    }
    if (reading === undefined) void this.readModuleConfig();
    else await reading;
    this.isReady = true;
  }

  get connections(): DevDialIn {
    return this.dialIn;
  }

  release(): void {
    this.leases -= 1;
    if (this.retired && this.leases === 0) this.stop();
  }

  /** Takes no new request and ends when those that run have ended. */
  retire(): void {
    this.retired = true;
    if (this.leases === 0) this.stop();
    else this.drain ??= setTimeout(() => this.stop(), DRAIN_MS);
  }

  stop(): void {
    this.retired = true;
    clearTimeout(this.drain);
    this.stopped.abort();
    const { child } = this;
    if (child === undefined) this.end.resolve('it was not started');
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return void this.dialIn.destroy();
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    child.once('exit', () => clearTimeout(timer));
  }

  private async readModuleConfig(): Promise<void> {
    const { spec, environment, onLine } = this.options;
    try {
      this.config = await readModuleConfig(spec, { ...inherited(environment), ...spec.env }, this.stopped.signal);
    } catch (error) {
      onLine({ level: 'warn', message: (error as Error).message });
    }
  }

  private run(): void {
    const { spec, environment } = this.options;
    const { command, args, env } = spec.program;
    const child = spawn(command, args, {
      cwd: spec.folder,
      env: { ...inherited(environment), ...env, ...spec.env, ...this.own() },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child = child;
    for (const stream of ['stdout', 'stderr'] as const) {
      const lines = new Lines((line) => this.onLine(line, stream));
      child[stream]?.on('data', (chunk: Buffer) => lines.push(chunk)).on('end', () => lines.end());
    }
    child.once('error', (error) => this.onEnd(`it can't be started: ${error.message}`));
    child.once('close', (code, signal) => this.onEnd(signal === null ? `it ended with exit code ${code}` : `it was ended by ${signal}`));
  }

  /** As an agent gives it to a container. */
  private own(): Record<string, string> {
    const { name, config, program } = this.spec;
    return {
      KILN_FUNCTION: name,
      KILN_VERSION: '0',
      KILN_SOCKET: this.options.socketPath,
      KILN_CONCURRENCY: String(config.concurrency),
      KILN_TIMEOUT: String(config.timeout),
      KILN_ENTRY: program.entry,
      ...(program.handler !== undefined && { KILN_HANDLER: program.handler }),
    };
  }

  private onLine(text: string, stream: 'stdout' | 'stderr'): void {
    const line = readOutputLine(text, stream);
    if (line.level === 'error' && !this.isReady) this.lastErrors.splice(0, Math.max(0, this.lastErrors.push(line.message) - KEPT_LINES));
    this.options.onLine(line);
  }

  private onEnd(how: string): void {
    clearTimeout(this.drain);
    void this.dialIn.destroy();
    const died = this.isReady && !this.retired;
    this.retired = true;
    this.end.resolve(how);
    if (died) this.options.onDeath(this);
  }
}

function inherited(environment: Record<string, string | undefined>): Record<string, string | undefined> {
  return Object.fromEntries(INHERITED.map((name) => [name, environment[name]]));
}

function startTimedOut(ms: number): KilnError {
  return new KilnError('start_timeout', `the module was not loaded within ${ms} ms`, { fix: 'raise "startTimeout" in kiln.json' });
}
