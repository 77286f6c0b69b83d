import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { KilnError } from '@kiln/contract/errors';
import { REQUEST_ID } from '@kiln/contract/wire/headers';
import type { Exchange } from '@kiln/forward/exchange/forward';
import { Members } from '@kiln/forward/members';
import { bodyOf, HttpDownstream } from '@kiln/forward/server/http-server';
import { writeProblem } from '@kiln/forward/server/problem';
import { type Served, type ServedCall, ServedRequest, serve } from '@kiln/instances/serve/serve';
import { ServedUpgrade, SocketSide } from '@kiln/instances/serve/served-upgrade';
import type { DevFunction } from './dev-function.js';
import { answerHeaders, type Head, readHead, requestHeaders } from './head.js';

export interface DevHandlerParts {
  functions: ReadonlyMap<string, DevFunction>;
  /** One call, told when it is over. */
  onCall(call: { function: string; method: string; path: string; status: number; ms: number; requestId: string }): void;
}

/** The way of a call in `kiln dev`: a router's part in short, and then what serves a request on a node. */
export class DevHandler {
  private readonly switched = new Members<Exchange>();

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
      new SocketSide(socket).fail(notFound(head?.name ?? '', this.parts.functions), head?.requestId ?? '');
      return;
    }
    const served = new ServedUpgrade(callOf(request, head), { request, socket, head: data }, this.switched);
    byNewest(found, served).catch((error: unknown) => new SocketSide(socket).fail(asKilnError(error), head.requestId));
  };

  private async run(of: DevFunction, head: Head, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = bodyOf(request, (await of.pool).version.config.maxBody);
    await byNewest(of, new ServedRequest(callOf(request, head), new HttpDownstream(response), body));
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
    if (!request.complete) bodyOf(request, Number.MAX_SAFE_INTEGER).discard();
  }

  private listFunctions(response: ServerResponse): void {
    const lines = [...this.parts.functions.keys()].map((name) => `/fn/${name}/\n`);
    response.writeHead(200, { 'content-type': 'text/plain' }).end(lines.join(''));
  }
}

/** Whoever waited when the code changed waits for the new code: nothing of it was executed. */
async function byNewest(of: DevFunction, served: Served): Promise<void> {
  for (;;) {
    const pool = await of.pool;
    try {
      await serve(served, pool);
      return;
    } catch (error) {
      if (!(error instanceof KilnError) || pool === (await of.pool)) throw error;
    }
  }
}

function callOf(request: IncomingMessage, head: Head): ServedCall {
  const { requestId, path } = head;
  return {
    requestId,
    method: request.method as string,
    path: path.startsWith('/') ? path : `/${path}`,
    headers: requestHeaders(request, head),
    waits: () => undefined,
    begins: () => undefined,
    answerLines: (_lease, status, answered) => answerHeaders(status, answered, requestId),
    errorLines: () => [],
  };
}

/** Relative links of a page need the slash; methods with a body run as they are. */
function wantsSlash({ method }: IncomingMessage, { prefix, path }: Head): boolean {
  return prefix !== '' && !path.startsWith('/') && (method === 'GET' || method === 'HEAD');
}

function notFound(name: string, functions: ReadonlyMap<string, unknown>): KilnError {
  return new KilnError('function_not_found', `there is no function "${name}" here; there are: ${[...functions.keys()].join(', ')}`);
}

function asKilnError(error: unknown): KilnError {
  return error instanceof KilnError ? error : new KilnError('function_crashed', (error as Error).message);
}
