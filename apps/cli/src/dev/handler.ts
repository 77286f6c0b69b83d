import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { KilnError } from '@kiln/contract/errors';
import { REQUEST_ID } from '@kiln/contract/wire/headers';
import { AnswerError } from '@kiln/forward/client/response-fields';
import { type Exchange, forward, type Outcome } from '@kiln/forward/exchange/forward';
import { RequestBody } from '@kiln/forward/exchange/request-body';
import { spliceUpgrade } from '@kiln/forward/exchange/upgrade';
import { problemMessage, writeProblem } from '@kiln/forward/server/problem';
import type { DevFunction } from './dev-function.js';
import { answerHeaders, type Head, readHead, requestHeaders } from './head.js';
import type { DevInstance } from './instance.js';

const TIMEOUT = 'timeout';
/** Connections that may turn out closed before a byte was sent, under one request. */
const MAX_UNSENT = 3;
const EXIT_NEWS_MS = 1000;

export interface DevHandlerParts {
  functions: ReadonlyMap<string, DevFunction>;
  /** One call, told when it is over. */
  onCall(call: { function: string; method: string; path: string; status: number; ms: number; requestId: string }): void;
}

/** The way of a call in `kiln dev`, as a router and a node together would have it: address, lease, forward, release. */
export class DevHandler {
  constructor(private readonly parts: DevHandlerParts) {}

  readonly handle = (request: IncomingMessage, response: ServerResponse): void => {
    const head = readHead(request);
    const found = head && this.parts.functions.get(head.name);
    if (head === undefined) this.listFunctions(response);
    else if (found === undefined) this.refuse(request, response, head, notFound(head.name, this.parts.functions));
    else if (wantsSlash(request, head)) {
      response.writeHead(307, { location: `${head.prefix}/${head.path}`, [REQUEST_ID]: head.requestId }).end();
    } else {
      this.report(request, response, head);
      this.run(found, head, request, response).catch((error: unknown) => this.refuse(request, response, head, error));
    }
  };

  readonly upgrade = (request: IncomingMessage, socket: Duplex, data: Buffer): void => {
    socket.on('error', () => socket.destroy());
    const head = readHead(request);
    const found = head && this.parts.functions.get(head.name);
    if (head === undefined || found === undefined) {
      socket.end(problemMessage(notFound(head?.name ?? '', this.parts.functions), head?.requestId ?? ''));
      return;
    }
    this.runUpgrade(found, head, { request, socket, head: data }).catch((error: unknown) => {
      if (!socket.destroyed) socket.end(problemMessage(asKilnError(error), head.requestId));
    });
  };

  private async run(of: DevFunction, head: Head, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = RequestBody.of(request, of.spec.config.maxBody);
    for (let unsent = 0; ; unsent += 1) {
      const instance = await of.lease();
      try {
        const outcome = await this.exchange(of, instance, { head, request, response, body });
        if (outcome.kind === 'not_sent' && body.replayable && unsent < MAX_UNSENT) continue;
        const error = await failure(outcome, instance);
        if (error !== undefined && !response.headersSent) this.refuse(request, response, head, error);
        return;
      } finally {
        of.release(instance);
      }
    }
  }

  /** `timeout` counts from here, as on a node. */
  private async exchange(
    of: DevFunction,
    instance: DevInstance,
    { head, request, response, body }: { head: Head; request: IncomingMessage; response: ServerResponse; body: RequestBody },
  ): Promise<Outcome> {
    const connection = await instance.connections.take();
    body.accepted();
    const sent = { method: request.method as string, path: pathOf(head), headers: requestHeaders(request, head) };
    const exchange = forward(sent, response, connection.upstream, {
      body,
      onHead: (status, headers) => answerHeaders(status, headers, head.requestId),
    });
    const timer = setTimeout(() => exchange.abort(TIMEOUT), instance.config.timeout);
    const outcome = await exchange.outcome;
    clearTimeout(timer);
    instance.connections.giveBack(connection);
    if (outcome.kind === 'aborted' && outcome.reason === TIMEOUT) of.condemn(instance);
    return outcome;
  }

  private async runUpgrade(of: DevFunction, head: Head, client: Parameters<typeof spliceUpgrade>[0]): Promise<void> {
    const instance = await of.lease();
    try {
      const sent = { method: client.request.method as string, path: pathOf(head), headers: requestHeaders(client.request, head) };
      const exchange: Exchange = spliceUpgrade(client, sent, () => instance.connections.takeSocket(), {
        onHead: (status, headers) => answerHeaders(status, headers, head.requestId),
        onSwitched: () => clearTimeout(timer),
      });
      const timer = setTimeout(() => exchange.abort(TIMEOUT), instance.config.timeout);
      const outcome = await exchange.outcome;
      clearTimeout(timer);
      const error = await failure(outcome, instance);
      if (error !== undefined && !client.socket.destroyed) client.socket.end(problemMessage(error, head.requestId));
    } finally {
      of.release(instance);
    }
  }

  private report({ method = 'GET' }: IncomingMessage, response: ServerResponse, head: Head): void {
    const started = performance.now();
    response.once('close', () => {
      const { name, path, requestId } = head;
      const status = response.headersSent ? response.statusCode : 499;
      this.parts.onCall({ function: name, method, path, status, ms: performance.now() - started, requestId });
    });
  }

  private refuse(request: IncomingMessage, response: ServerResponse, { requestId }: Head, error: unknown): void {
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    writeProblem(response, asKilnError(error), requestId);
    if (!request.complete) RequestBody.of(request, Number.MAX_SAFE_INTEGER).discard();
  }

  private listFunctions(response: ServerResponse): void {
    const lines = [...this.parts.functions.keys()].map((name) => `/fn/${name}/\n`);
    response.writeHead(200, { 'content-type': 'text/plain' }).end(lines.join(''));
  }
}

/** Relative links of a page need the slash; methods with a body run as they are. */
function wantsSlash({ method }: IncomingMessage, { prefix, path }: Head): boolean {
  return prefix !== '' && !path.startsWith('/') && (method === 'GET' || method === 'HEAD');
}

function pathOf({ path }: Head): string {
  return path.startsWith('/') ? path : `/${path}`;
}

/** What the caller is told; undefined where it has its answer, or is gone. */
async function failure(outcome: Outcome, instance: DevInstance): Promise<KilnError | undefined> {
  const { spec, config } = instance;
  if (outcome.kind === 'body_too_large')
    return new KilnError('payload_too_large', 'the request body is larger than the function’s maxBody');
  if (outcome.kind === 'not_sent') return new KilnError('function_crashed', 'the function accepts no connection any more');
  if (outcome.kind === 'aborted') {
    if (outcome.reason !== TIMEOUT) return new KilnError('bad_request', outcome.reason);
    return new KilnError('function_timeout', `"${spec.name}" did not answer within its timeout of ${config.timeout} ms`);
  }
  if (outcome.kind !== 'broken') return undefined;
  if (outcome.error instanceof AnswerError)
    return new KilnError('bad_response', `the function’s answer breaks HTTP: ${outcome.error.message}`);
  const exit = await Promise.race([instance.exited, delay(EXIT_NEWS_MS, undefined, { ref: false })]);
  return new KilnError('function_crashed', exit ?? `the function closed the connection without a whole answer (${outcome.error.message})`);
}

function notFound(name: string, functions: ReadonlyMap<string, unknown>): KilnError {
  return new KilnError('function_not_found', `there is no function "${name}" here; there are: ${[...functions.keys()].join(', ')}`);
}

function asKilnError(error: unknown): KilnError {
  return error instanceof KilnError ? error : new KilnError('function_crashed', (error as Error).message);
}
