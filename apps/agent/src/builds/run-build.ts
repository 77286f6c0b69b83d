import { PassThrough, type Readable } from 'node:stream';
import type { BuildArgs } from '@kiln/contract/api/build-args';
import type { BuildSecrets } from '@kiln/contract/api/build-secrets';
import type { AgentBuildLine, BuiltImage } from '@kiln/contract/api/control-api';
import { KilnError } from '@kiln/contract/errors';
import { receiveSource } from './receive-source.js';

/** More builds at once would take the machine from the functions. */
const MAX_BUILDS = 2;
const MAX_WAITING = 20;

export interface BuildInput {
  /** Gzip tar of the folder. */
  source: Readable;
  functionName: string;
  buildArgs: BuildArgs;
  secrets: BuildSecrets;
  onLine(line: string): void;
  signal: AbortSignal;
}

/** What its steps are told. */
export type BuildVariables = Partial<Pick<BuildInput, 'buildArgs' | 'secrets'>>;

export type Builder = (input: BuildInput) => Promise<BuiltImage>;

/** Builds sent by a router, a few at a time. */
export class Builds {
  private running = 0;
  /** Those whose source is on its way, who wait, and who run. */
  private present = 0;
  private readonly waiting: (() => void)[] = [];
  private readonly functions = new Map<string, number>();

  constructor(
    private readonly builder: Builder,
    /** Where sources lie until they are built. */
    private readonly folder: string,
    private readonly onFault: (error: unknown) => void,
  ) {}

  /**
   * Starts a build and gives its lines, the last one saying how it went. Closing the stream cancels the build.
   * @throws KilnError `unavailable` where too many wait already
   */
  start(functionName: string, source: Readable, { buildArgs = {}, secrets = {} }: BuildVariables = {}): Readable {
    if (this.present >= MAX_BUILDS + MAX_WAITING) {
      throw new KilnError('unavailable', `${MAX_WAITING} builds are waiting on this node already`, { fix: 'deploy again', retryAfter: 10 });
    }
    const output = new PassThrough();
    const cancelled = new AbortController();
    output.once('close', () => cancelled.abort());
    // The sender may leave at any moment; whoever reads the source is told by its error.
    source.on('error', () => undefined);
    const onLine = (line: string) => say(output, { type: 'log', line });
    void this.run({ functionName, source, buildArgs, secrets, onLine, signal: cancelled.signal }).then((last) => {
      say(output, last);
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
      if (!(error instanceof KilnError)) this.onFault(error);
      return failure(error instanceof KilnError ? error : new KilnError('internal', 'the build failed for a reason of Kiln’s own'));
    } finally {
      this.present--;
      this.count(input.functionName, -1);
    }
  }

  /** The source comes first: a sender that is slow, or silent, must not hold a turn that others wait for. */
  private async receiveAndBuild(input: BuildInput): Promise<BuiltImage> {
    const received = await receiveSource(input.source, this.folder, { signal: input.signal });
    try {
      await this.enter(input);
      try {
        return await this.builder({ ...input, source: received.read() });
      } finally {
        this.leave();
      }
    } finally {
      await received.remove();
    }
  }

  /** One that is cancelled while it waits gives its place away at once. */
  private async enter({ signal, onLine }: BuildInput): Promise<void> {
    if (this.running < MAX_BUILDS) {
      this.running++;
      return;
    }
    onLine(`waiting for one of ${this.running + this.waiting.length} builds before this one`);
    await new Promise<void>((resolve, reject) => {
      const cancel = () => {
        this.waiting.splice(this.waiting.indexOf(enter), 1);
        reject(new KilnError('unavailable', 'the build was cancelled'));
      };
      const enter = () => {
        signal.removeEventListener('abort', cancel);
        resolve();
      };
      this.waiting.push(enter);
      signal.addEventListener('abort', cancel, { once: true });
    });
  }

  private leave(): void {
    const next = this.waiting.shift();
    if (next === undefined) this.running--;
    else next();
  }
}

function failure({ code, message, fix }: KilnError): AgentBuildLine {
  return { type: 'failed', code, detail: message, ...(fix !== undefined && { fix }) };
}

function say(output: PassThrough, line: AgentBuildLine): void {
  if (!output.destroyed) output.write(`${JSON.stringify(line)}\n`);
}
