import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { KilnError } from '@kiln/contract/errors';
import { REQUEST_ID_PATTERN } from '@kiln/contract/names';
import { REQUEST_ID } from '@kiln/contract/wire/headers';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { refuseUnparsed } from '../../invoke/refuse-socket.js';
import { MAX_HEADER_BYTES, type Peers } from '../../invoke/request-head.js';
import type { KeyTable } from '../../view/key-table.js';
import { authorise } from './authorise.js';
import { sendProblem, toKilnError } from './problem-filter.js';
import { readJson } from './read-json.js';
import { routeOf } from './routes.js';

const MAX_JSON_BYTES = 1_048_576;
/** Longer than any path that fits in a head: a name that is too long is told so, and not "nothing is here". */
const MAX_PARAM_CHARS = 65_536;
/** A whole upload. */
const REQUEST_TIMEOUT_MS = 1_800_000;
/** A head that does not come holds a connection for no longer. */
const HEAD_BOUNDS = { headersTimeout: 10_000, connectionsCheckingInterval: 1000, maxHeaderSize: MAX_HEADER_BYTES };
const STREAMED = /\/(builds|git-receive-pack|git-upload-pack)$/;

/** The HTTP side of the control API: request ids, the guard, what kinds of bodies are taken. */
export function createAdapter(keys: KeyTable, peers: Peers, log: Logger): FastifyAdapter {
  const adapter = new FastifyAdapter({
    logger: false,
    bodyLimit: MAX_JSON_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    http: HEAD_BOUNDS,
    routerOptions: { maxParamLength: MAX_PARAM_CHARS },
    genReqId: requestIdOf,
    clientErrorHandler: (error: NodeJS.ErrnoException, socket: Socket) => refuseUnparsed(error, socket, undefined),
    frameworkErrors: (error: FastifyError, request: FastifyRequest, reply: FastifyReply) =>
      void sendProblem(reply, toKilnError(error, request), request.id),
  });
  const server: FastifyInstance = adapter.getInstance();
  server.addHook('onRoute', ({ method, url }) => requireListed(method, url));
  server.addHook('onRequest', async (request, reply) => {
    void reply.header(REQUEST_ID, request.id).header('cache-control', 'no-store');
    authorise(keys, peers, request);
  });
  server.addHook('onResponse', async (request, reply) => logRequest(log, request, reply.statusCode, reply.elapsedTime));
  takeBodies(server);
  return adapter;
}

/** JSON, parsed and bounded; for builds and git anything, as a stream that nobody has read yet. */
function takeBodies(server: FastifyInstance): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser(
    'application/json',
    { parseAs: 'string', bodyLimit: MAX_JSON_BYTES },
    async (_request: FastifyRequest, body: string) => readJson(body),
  );
  server.addContentTypeParser('*', async (request: FastifyRequest, body: Readable) => {
    if (STREAMED.test(request.routeOptions.url ?? '')) return body;
    throw new KilnError('bad_request', 'the body must be JSON', { fix: 'send it with "content-type: application/json"' });
  });
}

/** A route that nobody listed would have no scope of its own and be in no document. */
function requireListed(method: string | string[], url: string): void {
  const unlisted = [method].flat().find((each) => each !== 'HEAD' && routeOf(each, url) === undefined);
  if (unlisted !== undefined) throw new Error(`${unlisted} ${url} is not in the table of routes`);
}

function requestIdOf(request: IncomingMessage | { headers: IncomingMessage['headers'] }): string {
  const given = request.headers[REQUEST_ID];
  return typeof given === 'string' && REQUEST_ID_PATTERN.test(given) ? given : randomUUID();
}

function logRequest(log: Logger, request: FastifyRequest, status: number, ms: number): void {
  const { id, method, routeOptions } = request;
  const level = method === 'GET' || method === 'HEAD' ? 'debug' : 'info';
  log[level]({ requestId: id, method, route: routeOptions.url, params: request.params, status, ms: Math.round(ms) }, 'control request');
}
