import { type ChildProcess, spawn } from 'node:child_process';

export interface ProgramExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface ProgramOptions {
  command: string;
  args: string[];
  env: Record<string, string | undefined>;
  cwd?: string;
}

const KEPT_OUTPUT = 256 * 1024;
const running = new Set<Program>();

// A test run that ends in any way takes its processes along.
process.on('exit', () => {
  for (const program of running) program.kill('SIGKILL');
});
// They have sessions of their own, so the terminal's Ctrl-C reaches only this process.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

/** A child process whose end can be awaited and whose last output is at hand for the message of a failed test. */
export class Program {
  readonly exited: Promise<ProgramExit>;
  private readonly child: ChildProcess;
  private kept = { stdout: '', stderr: '' };

  constructor(
    readonly name: string,
    private readonly options: ProgramOptions,
  ) {
    this.child = spawn(options.command, options.args, {
      env: options.env as NodeJS.ProcessEnv,
      stdio: ['ignore', 'pipe', 'pipe'],
      // A session of its own, as `kiln up` and service managers give it: Linux shares processor time between sessions first.
      detached: true,
      ...(options.cwd !== undefined && { cwd: options.cwd }),
    });
    running.add(this);
    for (const stream of ['stdout', 'stderr'] as const) {
      this.child[stream]?.setEncoding('utf8').on('data', (text: string) => {
        this.kept[stream] = (this.kept[stream] + text).slice(-KEPT_OUTPUT);
      });
    }
    this.exited = new Promise((resolve) => {
      this.child.once('error', (error) => {
        this.kept.stderr += String(error);
        running.delete(this);
        resolve({ code: null, signal: null });
      });
      this.child.once('close', (code, signal) => {
        running.delete(this);
        resolve({ code, signal });
      });
    });
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error(`${this.name} did not start: ${this.stderr}`);
    return this.child.pid;
  }

  get alive(): boolean {
    return running.has(this);
  }

  get stdout(): string {
    return this.kept.stdout;
  }

  get stderr(): string {
    return this.kept.stderr;
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Another process from the same command, after this one ended. */
  again(): Program {
    if (this.alive) throw new Error(`${this.name} still runs`);
    return new Program(this.name, this.options);
  }

  /** SIGTERM, then SIGKILL after the bound. */
  async end(boundMs: number): Promise<ProgramExit> {
    this.kill('SIGTERM');
    const timer = setTimeout(() => this.kill('SIGKILL'), boundMs);
    const exit = await this.exited;
    clearTimeout(timer);
    return exit;
  }
}
