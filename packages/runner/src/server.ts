import http from 'node:http';
import type { Duplex } from 'node:stream';
import { type ParsedRequest, parseBody, readBody } from './body.js';
import type { FunctionExport } from './handler/exports.js';
import { handlerRuns, handlerSettled } from './handler/handler-state.js';
import { invoke, type OnUnanswered, refuseBody, requestIdOf } from './handler/invoke.js';
import { withRequestId } from './log.js';

/** Above the router's bound, so that the router refuses a large header block. */
const MAX_HEADER_BYTES = 64 * 1024;

type Listener = (request: http.IncomingMessage, response: http.ServerResponse) => void;

/** An export with its listener. */
export interface ServedExport {
  target: FunctionExport;
  listener: Listener;
}
type Answer = (response: http.ServerResponse) => void;

/**
 * An HTTP server that does not listen yet. It has no time limits: the platform has them. A WebSocket handshake goes to the `upgrade`
 * of the target; any other Upgrade header is ignored, as HTTP allows.
 * @param find finds the export for a request; may rewrite its URL
 */
export function createServer(find: (request: http.IncomingMessage) => ServedExport | Answer): http.Server {
  const server = http.createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      requestTimeout: 0,
      headersTimeout: 0,
      keepAliveTimeout: 0,
      requireHostHeader: false,
      shouldUpgradeCallback: (request) => request.headers.upgrade?.toLowerCase() === 'websocket',
    },
    (request, response) => {
      const found = find(request);
      if (typeof found === 'function') found(response);
      else found.listener(request, response);
    },
  );
  server.on('upgrade', (request: http.IncomingMessage, socket: Duplex, head: Buffer) => {
    const found = find(request);
    upgrade(typeof found === 'function' ? undefined : found.target, request, socket, head);
  });
  return server;
}

/** A listener for one export. An app is called directly; a function gets Express's `req` and `res`. */
export async function createListener(target: FunctionExport, onUnanswered: OnUnanswered): Promise<Listener> {
  const call: Listener = (request, response) => void invoke(target, request, response, onUnanswered);
  if (target.kind === 'app') platformDefaults(target.handler);
  const enter = target.kind === 'app' ? call : await expressShell(call);
  return (request, response) => {
    response.once('close', () => request.resume());
    withRequestId(requestIdOf(request), () => void serve(target, request, response, enter));
  };
}

async function serve(target: FunctionExport, request: ParsedRequest, response: http.ServerResponse, enter: Listener): Promise<void> {
  try {
    await readBody(request);
  } catch {
    // The client has left.
    response.destroy();
    return;
  }
  try {
    await parseBody(request, response);
  } catch (error) {
    // An app may have parsers of its own that accept the body.
    if (target.kind !== 'app') return refuseBody(request, response, error);
  }
  // The client has left: the agent does not count this request any more.
  if (response.destroyed) return;
  enter(request, response);
}

async function expressShell(listener: Listener): Promise<Listener> {
  const { default: express } = await import('express');
  const shell = express();
  shell.disable('x-powered-by').disable('etag').enable('trust proxy');
  shell.use(listener);
  return shell as unknown as Listener;
}

/** Unless it chose otherwise, an app trusts the client's address, which the router has checked, and shows clients no stack. */
function platformDefaults(app: unknown): void {
  const { settings, set } = app as { settings?: Record<string, unknown>; set?: unknown };
  if (settings === undefined || typeof set !== 'function') return;
  if (settings['trust proxy'] === false) set.call(app, 'trust proxy', true);
  if (settings['env'] === 'development') set.call(app, 'env', 'production');
}

function upgrade(target: FunctionExport | undefined, request: http.IncomingMessage, socket: Duplex, head: Buffer): void {
  socket.on('error', () => socket.destroy());
  const handler = target?.upgrade;
  if (handler === undefined) {
    socket.end(
      'HTTP/1.1 501 Not Implemented\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length: 34\r\n\r\nthis function takes no WebSockets\n',
    );
    return;
  }
  const accept = async () => handler(request, socket, head);
  handlerRuns(socket);
  withRequestId(requestIdOf(request), () => {
    accept()
      .catch((error: unknown) => {
        console.error(error);
        socket.destroy();
      })
      .finally(() => handlerSettled(socket, 'settled'));
  });
}
