import type { Readable } from 'node:stream';
import { KilnError } from '@kiln/contract/errors';
import type Dockerode from 'dockerode';
import { engineError } from './engine-error.js';
import { progressOf } from './progress-lines.js';

const LAST_LINES = 20;
/** A flood is not passed on; its end is, where the build fails. */
const MAX_LINES = 10_000;
const MAX_LINE = 4096;
/** Of a step, from which on its time is told. */
const TOLD_MS = 500;
const CPU_PERIOD_US = 100_000;
/** Lines that tell a user nothing. */
const BOOKKEEPING = /^( ---> |Removing intermediate container |Successfully (built|tagged) )/;

export interface EngineBuild {
  docker: Dockerode;
  context: Readable;
  tag: string;
  labels: Record<string, string>;
  args?: Record<string, string>;
  /** MB for each step. */
  memory: number;
  /** Cores for each step. */
  cpus: number;
  /** Control group that the steps run in; the engine's own without. */
  cgroupParent?: string;
  /** Network of the build's containers; the engine's default without. */
  network: string | undefined;
  onLine(line: string): void;
  /** An image that a step gave, or what looks like it. */
  onImage?(id: string): void;
  signal: AbortSignal;
}

/**
 * Builds with the engine's own builder, which every engine has; ends with the connection, so an aborted build leaves no
 * container behind.
 * @throws KilnError `bad_request` with the step that failed and the last lines.
 */
export async function engineBuild({ docker, context, signal, ...build }: EngineBuild): Promise<void> {
  const output = new BuildOutput(build.onLine, build.onImage ?? (() => undefined));
  try {
    const answer = (await docker.buildImage(context, { ...options(build), abortSignal: signal })) as AsyncIterable<Buffer>;
    for await (const { stream, error } of progressOf(answer)) {
      if (stream !== undefined) output.add(stream);
      if (error !== undefined) throw output.failure(error);
    }
  } catch (error) {
    if (signal.aborted || error instanceof KilnError) throw error;
    // What the engine refuses before the first step (a Dockerfile that does not parse) is the folder's fault.
    const { statusCode, message } = error as { statusCode?: number; message: string };
    throw statusCode === undefined ? engineError('build', error) : output.failure(message.trim());
  } finally {
    context.destroy();
  }
}

function options({ tag, labels, args = {}, memory, cpus, cgroupParent, network }: Omit<EngineBuild, 'docker' | 'context' | 'signal'>) {
  const bytes = memory * 1024 * 1024;
  return {
    t: tag,
    labels,
    buildargs: args,
    memory: bytes,
    memswap: bytes,
    cpuperiod: CPU_PERIOD_US,
    cpuquota: Math.round(cpus * CPU_PERIOD_US),
    // Functions go first where the machine is short of time.
    cpushares: 512,
    rm: true,
    forcerm: true,
    ...(cgroupParent !== undefined && { cgroupparent: cgroupParent }),
    ...(network !== undefined && { networkmode: network }),
  };
}

/** The engine sends pieces of lines, coloured as the commands print them. */
class BuildOutput {
  #piece = '';
  #step = '';
  #stepSince = 0;
  #count = 0;
  readonly #last: string[] = [];

  constructor(
    private readonly onLine: (line: string) => void,
    private readonly onImage: (id: string) => void,
  ) {}

  add(text: string): void {
    const lines = (this.#piece + text).split(/\r?\n/);
    this.#piece = (lines.pop() ?? '').slice(0, MAX_LINE);
    for (const line of lines) this.#addLine(plain(line).slice(0, MAX_LINE));
  }

  #addLine(line: string): void {
    const [, image] = /^ ---> ([0-9a-f]{12})$/.exec(line) ?? [];
    if (image !== undefined) this.onImage(image);
    if (line === '' || BOOKKEEPING.test(line)) return;
    if (/^Step \d+\/\d+ : /.test(line)) this.#enter(line);
    this.#last.push(line);
    if (this.#last.length > LAST_LINES) this.#last.shift();
    this.#count += 1;
    if (this.#count < MAX_LINES) this.onLine(line);
    if (this.#count === MAX_LINES) this.onLine(`more than ${MAX_LINES} lines: the others are not shown`);
  }

  #enter(step: string): void {
    const now = performance.now();
    const took = now - this.#stepSince;
    // A step found in the cache takes no time worth a line.
    if (this.#step !== '' && took > TOLD_MS) this.onLine(`${/^Step \d+\/\d+/.exec(this.#step)?.[0]} took ${(took / 1000).toFixed(1)} s`);
    this.#step = step;
    this.#stepSince = now;
  }

  failure(error: string): KilnError {
    this.#addLine(plain(this.#piece));
    const where = this.#step === '' ? 'build failed' : `build failed at ${this.#step.replace(/ : /, ' "')}"`;
    const last = this.#last.length === 0 ? '' : `\n${this.#last.join('\n')}`;
    return new KilnError('bad_request', `${where}: ${plain(error)}${last}`);
  }
}

/** Without the control characters, colours first, that could write over what a terminal shows. */
function plain(line: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this takes out
  return line.replace(/\u001b\[[0-9;?]*[A-Za-z]|[\u0000-\u0008\u000b-\u001f\u007f]/g, '');
}
