import http, { type IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import type { BuildArgs } from '@kiln/contract/api/build-args';
import { type BuildSecrets, buildSecretsHeaders } from '@kiln/contract/api/build-secrets';
import { type AgentBuildLine, builtImage } from '@kiln/contract/api/control-api';
import { readProblem } from '@kiln/contract/api/problem';
import { KilnError } from '@kiln/contract/errors';
import { imageKind } from '@kiln/contract/kinds';
import { type InstanceRecord, instanceRecord, type NodeRecord } from '@kiln/contract/records/records';
import { SECRET } from '@kiln/contract/wire/headers';
import { jsonLines } from '@kiln/contract/wire/json-lines';
import { MAX_SOURCE_BYTES, passUpload } from '@kiln/forward/exchange/upload';
import { z } from 'zod';
import { watchSilence } from './watch-long-answer.js';

const CALL_MS = 5000;
/** A pull of a large image. */
const FACTS_MS = 600_000;
/** A build may wait long behind others. Its node is asked whether it is there: this is for one that answers and never ends. */
const BUILD_MS = 24 * 3_600_000;
/** A node ends it by itself before that. */
const WARM_MS = 12_000;
const MAX_ANSWER_BYTES = 8 * 1024 * 1024;

/** An image whose reference always has the same content. An older agent tells no port. */
const imageFacts = z.object({ image: z.string(), digest: z.string(), kind: imageKind, port: z.number().optional() });

/** What the steps of a build are told. */
export interface StepInputs {
  buildArgs?: BuildArgs | undefined;
  secrets?: BuildSecrets | undefined;
}

interface SentBuild extends StepInputs {
  name: string;
  source: Readable;
}

interface CallOptions {
  signal?: AbortSignal | undefined;
  timeoutMs: number;
  source?: Readable;
  headers?: Record<string, string>;
}

/** Calls of the agents' control ports. A connection for each: there are few of them, and a stale one could lose a command. */
export class AgentsClient {
  constructor(private readonly secret: string) {}

  /** Sends a source and gives the lines of its build as they come. @throws KilnError */
  async *build(
    node: NodeRecord,
    { name, source, buildArgs = {}, secrets = {} }: SentBuild,
    signal: AbortSignal,
  ): AsyncGenerator<AgentBuildLine> {
    const path = `/builds?${new URLSearchParams({ function: name, buildArgs: JSON.stringify(buildArgs) })}`;
    const headers = buildSecretsHeaders(secrets);
    const gone = new AbortController();
    const watch = watchSilence(
      () => this.tell(node, 'GET', '/healthz'),
      (error) => gone.abort(unreachable(node, error)),
    );
    const either = AbortSignal.any([signal, gone.signal]);
    let response: IncomingMessage | undefined;
    try {
      response = await this.call(node, 'POST', path, { source, headers, signal: either, timeoutMs: BUILD_MS });
      for await (const line of jsonLines<unknown>(response)) {
        watch.heard();
        const known = knownLine(line);
        if (known !== undefined) yield known;
      }
    } catch (error) {
      if (either.aborted) throw either.reason;
      throw error instanceof KilnError ? error : unreachable(node, error);
    } finally {
      watch.end();
      response?.destroy();
    }
  }

  /** What a reference is, pulled if need be. @throws KilnError `start_failed` when there is no such image */
  async facts(node: NodeRecord, image: string, signal?: AbortSignal): Promise<z.infer<typeof imageFacts>> {
    const path = `/images/facts?image=${encodeURIComponent(image)}`;
    return imageFacts.parse(await this.json(node, path, { signal, timeoutMs: FACTS_MS }));
  }

  async instances(node: NodeRecord, name: string): Promise<InstanceRecord[]> {
    const path = `/instances?function=${encodeURIComponent(name)}`;
    return z.array(instanceRecord).parse(await this.json(node, path, { timeoutMs: CALL_MS }));
  }

  /** Readies instances of a version that is about to get the traffic of others, `serving`. */
  warm(node: NodeRecord, { name, version, serving }: { name: string; version: number; serving: readonly number[] }): Promise<void> {
    const query = new URLSearchParams({ function: name, version: String(version), serving: serving.join() });
    return this.tell(node, 'POST', `/warm?${query}`, WARM_MS);
  }

  /** It takes no new work from now on. */
  drain(node: NodeRecord): Promise<void> {
    return this.tell(node, 'POST', '/drain');
  }

  /** It takes new work again. @throws KilnError */
  async resume(node: NodeRecord): Promise<void> {
    try {
      await this.tell(node, 'DELETE', '/drain');
    } catch (error) {
      if (!(error instanceof KilnError) || error.code !== 'not_found') throw error;
      throw new KilnError('conflict', `the agent of node "${node.id}" is of an older version, which can not take a drain back`, {
        fix: 'start that agent again',
      });
    }
  }

  /** A call of which only the status counts. */
  private async tell(node: NodeRecord, method: string, path: string, timeoutMs = CALL_MS): Promise<void> {
    (await this.call(node, method, path, { timeoutMs })).resume();
  }

  private async json(node: NodeRecord, path: string, options: CallOptions): Promise<unknown> {
    const response = await this.call(node, 'GET', path, options);
    try {
      return JSON.parse(await textOf(response));
    } catch (error) {
      throw unreachable(node, error);
    }
  }

  private async call(node: NodeRecord, method: string, path: string, options: CallOptions): Promise<IncomingMessage> {
    const { source, headers, signal, timeoutMs } = options;
    const timeout = AbortSignal.timeout(timeoutMs);
    const either = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
    const request = http.request(new URL(path, node.controlUrl), {
      method,
      agent: false,
      signal: either,
      headers: { ...headers, [SECRET]: this.secret, ...(source !== undefined && { 'content-type': 'application/gzip' }) },
    });
    try {
      const response = await answerOf(request, source);
      if (response.statusCode !== undefined && response.statusCode < 300) return response;
      throw readProblem(response.statusCode ?? 0, await textOf(response), response.headers['retry-after']);
    } catch (error) {
      request.destroy();
      if (signal?.aborted) throw signal.reason;
      if (timeout.aborted) throw unreachable(node, new Error(`not within ${timeoutMs / 1000} s`));
      throw error instanceof KilnError ? error : unreachable(node, error);
    }
  }
}

/** The answer's head. It may come before the source has been sent, which is not sent any further then. */
function answerOf(request: http.ClientRequest, source: Readable | undefined): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    let head: IncomingMessage | undefined;
    // After the head an error is for who reads the answer.
    const fail = (error: Error) => {
      head?.destroy(error);
      request.destroy();
      reject(error);
    };
    request.on('error', fail);
    request.once('response', (response) => {
      head = response;
      resolve(response);
    });
    if (source === undefined) request.end();
    else passUpload(source, request, { maxBytes: MAX_SOURCE_BYTES }).catch(fail);
  });
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES) throw new Error(`an answer of more than ${MAX_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

const buildLine = z.discriminatedUnion('type', [
  z.object({ type: z.literal('log'), line: z.string() }),
  builtImage.extend({ type: z.literal('built'), config: z.custom<z.infer<typeof builtImage>['config']>() }),
  z.object({ type: z.literal('failed'), code: z.string(), detail: z.string(), fix: z.string().optional() }),
]);

const BUILD_LINES: ReadonlySet<unknown> = new Set(buildLine.options.map(({ shape }) => shape.type.value));

/** A line of a type that a later agent made up says nothing here. */
function knownLine(line: unknown): AgentBuildLine | undefined {
  const { type } = (line ?? {}) as { type?: unknown };
  return typeof type === 'string' && !BUILD_LINES.has(type) ? undefined : (buildLine.parse(line) as AgentBuildLine);
}

function unreachable(node: NodeRecord, error: unknown): KilnError {
  const reason = error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? error.message) : String(error);
  return new KilnError('unavailable', `node "${node.id}" did not answer: ${reason}`, { fix: 'kiln nodes ls', cause: error });
}
