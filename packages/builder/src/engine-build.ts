import type { Readable } from 'node:stream';
import { KilnError } from '@kiln/contract/errors';
import type Dockerode from 'dockerode';
import { engineError } from './engine-error.js';
import { progressOf } from './progress-lines.js';

const LAST_LINES = 20;
/** A flood is not passed on; its end is, where the build fails. */
const MAX_LINES = 10_000;
const MAX_LINE = 4096;
/** Lines that tell a user nothing. */
const BOOKKEEPING = /^( ---> |Removing intermediate container |Successfully (built|tagged) )/;

export interface EngineBuild {
  docker: Dockerode;
  context: Readable;
  tag: string;
  labels: Record<string, string>;
  /** MB for each step. */
  memory: number;
  /** Network of the build's containers; the engine's default without. */
  network: string | undefined;
  onLine(line: string): void;
  signal: AbortSignal;
}

/**
 * Builds with the engine's own builder, which every engine has; ends with the connection, so an aborted build leaves no
 * container behind.
 * @throws KilnError `bad_request` with the step that failed and the last lines.
 */
export async function engineBuild({ docker, context, tag, labels, memory, network, onLine, signal }: EngineBuild): Promise<void> {
  const bytes = memory * 1024 * 1024;
  const output = new BuildOutput(onLine);
  try {
    const answer = (await docker.buildImage(context, {
      t: tag,
      labels,
      memory: bytes,
      memswap: bytes,
      // Functions go first where the machine is short of time.
      cpushares: 512,
      rm: true,
      forcerm: true,
      abortSignal: signal,
      ...(network !== undefined && { networkmode: network }),
    })) as AsyncIterable<Buffer>;
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

/** The engine sends pieces of lines, coloured as the commands print them. */
class BuildOutput {
  #piece = '';
  #step = '';
  #count = 0;
  readonly #last: string[] = [];

  constructor(private readonly onLine: (line: string) => void) {}

  add(text: string): void {
    const lines = (this.#piece + text).split(/\r?\n/);
    this.#piece = (lines.pop() ?? '').slice(0, MAX_LINE);
    for (const line of lines) this.#addLine(plain(line).slice(0, MAX_LINE));
  }

  #addLine(line: string): void {
    if (line === '' || BOOKKEEPING.test(line)) return;
    if (/^Step \d+\/\d+ : /.test(line)) this.#step = line;
    this.#last.push(line);
    if (this.#last.length > LAST_LINES) this.#last.shift();
    this.#count += 1;
    if (this.#count < MAX_LINES) this.onLine(line);
    if (this.#count === MAX_LINES) this.onLine(`more than ${MAX_LINES} lines: the others are not shown`);
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
