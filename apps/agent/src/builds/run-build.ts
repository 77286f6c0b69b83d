import { PassThrough, type Readable } from 'node:stream';
import type { BuildArgs } from '@kiln/contract/api/build-args';
import type { BuildSecrets } from '@kiln/contract/api/build-secrets';
import type { AgentBuildLine, BuiltImage } from '@kiln/contract/api/control-api';
import { KilnError } from '@kiln/contract/errors';
import { Turns } from '@kiln/service/turns';
import { receiveSource } from './receive-source.js';

/** More builds at once would take too much of the machine from the functions. */
const MAX_BUILDS = 2;
const MAX_WAITING = 20;
/** All builds of a node share its turns. */
const ALL = 'builds';

export interface BuildInput {
  /** Gzip tar of the folder. */
  source: Readable;
  functionName: string;
  buildArgs: BuildArgs;
  secrets: BuildSecrets;
  onLine(line: string): void;
  signal: AbortSignal;
}

/** Build arguments and secrets for the steps of the Dockerfile. */
export type BuildVariables = Partial<Pick<BuildInput, 'buildArgs' | 'secrets'>>;

export type Builder = (input: BuildInput) => Promise<BuiltImage>;

/** Builds sent by a router, a few at a time. */
export class Builds {
  private readonly turns = new Turns(MAX_BUILDS);
  /** Builds that receive their source, wait or run. */
  private present = 0;
  private readonly functions = new Map<string, number>();

  constructor(
    private readonly builder: Builder,
    /** Folder for sources until they are built. */
    private readonly folder: string,
    private readonly onFault: (error: unknown) => void,
  ) {}

  /** Returns the build's output lines; the last says how it ended. Closing the stream cancels it. @throws KilnError `unavailable` */
  start(functionName: string, source: Readable, { buildArgs = {}, secrets = {} }: BuildVariables = {}): Readable {
    if (this.present >= MAX_BUILDS + MAX_WAITING) {
      throw new KilnError('unavailable', `${MAX_WAITING} builds are waiting on this node already`, { fix: 'deploy again', retryAfter: 10 });
    }
    const output = new PassThrough();
    const cancelled = new AbortController();
    output.once('close', () => cancelled.abort(new KilnError('unavailable', 'the build was cancelled')));
    // The sender may leave at any moment; the reader of the source gets the same error.
    source.on('error', () => undefined);
    const onLine = (line: string) => writeLine(output, { type: 'log', line });
    void this.run({ functionName, source, buildArgs, secrets, onLine, signal: cancelled.signal }).then((last) => {
      writeLine(output, last);
      output.end();
    });
    return output;
  }

  /** Whether one of this function runs or waits. */
  isBuilding(functionName: string): boolean {
    return this.functions.has(functionName);
  }

  private count(functionName: string, change: 1 | -1): void {
    const builds = (this.functions.get(functionName) ?? 0) + change;
    if (builds === 0) this.functions.delete(functionName);
    else this.functions.set(functionName, builds);
  }

  private async run(input: BuildInput): Promise<AgentBuildLine> {
    this.count(input.functionName, 1);
    this.present++;
    try {
      return { type: 'built', ...(await this.receiveAndBuild(input)) };
    } catch (error) {
      if (error instanceof KilnError) return { type: 'failed', code: error.code, detail: error.message, fix: error.fix };
      this.onFault(error);
      return { type: 'failed', code: 'internal', detail: 'the build failed for a reason of Kiln’s own' };
    } finally {
      this.present--;
      this.count(input.functionName, -1);
    }
  }

  /** Receives the source before it takes a turn: a slow or silent sender must not hold a turn for which others wait. */
  private async receiveAndBuild(input: BuildInput): Promise<BuiltImage> {
    const received = await receiveSource(input.source, this.folder, { signal: input.signal });
    try {
      const leave = await this.turns.enter(ALL, input.signal, (before) =>
        input.onLine(`waiting for one of ${before} builds before this one`),
      );
      return await this.builder({ ...input, source: received.read() }).finally(leave);
    } finally {
      await received.remove();
    }
  }
}

function writeLine(output: PassThrough, line: AgentBuildLine): void {
  if (!output.destroyed) output.write(`${JSON.stringify(line)}\n`);
}
