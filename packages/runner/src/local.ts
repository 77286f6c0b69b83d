import type http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { FunctionExport } from './exports.js';
import { answerEmpty } from './invoke.js';
import { createListener, createServer } from './server.js';
import { Unanswered } from './unanswered.js';

/** Serves every export at `/<export>`; the function sees the path behind that, as on the platform. */
export async function serveLocally(exports: readonly FunctionExport[], port: number): Promise<void> {
  const unanswered = new Unanswered(answerEmpty);
  const listeners = new Map<FunctionExport, Awaited<ReturnType<typeof createListener>>>();
  for (const target of exports) listeners.set(target, await createListener(target, (response) => unanswered.wait(response)));
  const byName = new Map(exports.map((target) => [target.name, target]));
  const server = createServer((request) => takePrefix(byName, request), {
    listenerOf: (target) => listeners.get(target)!,
    notFound: (response) => notFound(response, [...byName.keys()]),
  });
  // See Unanswered: neither the door nor an open connection says that something is left to do.
  server.on('connection', (socket) => socket.unref());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, resolve);
  });
  server.unref();
  const base = `http://localhost:${(server.address() as AddressInfo).port}`;
  for (const name of byName.keys()) console.info(`${name}: ${base}/${encodeURIComponent(name)}`);
}

function takePrefix(byName: ReadonlyMap<string, FunctionExport>, request: http.IncomingMessage): FunctionExport | undefined {
  const [, segment = '', rest = ''] = /^\/([^/?#]*)(.*)$/s.exec(request.url ?? '') ?? [];
  const target = byName.get(decoded(segment));
  if (target !== undefined) request.url = rest.startsWith('/') ? rest : `/${rest}`;
  return target;
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

function notFound(response: http.ServerResponse, names: string[]): void {
  response.statusCode = 404;
  response.setHeader('content-type', 'text/plain');
  response.end(`nothing here; there are: ${names.map((name) => `/${name}`).join(', ')}\n`);
}
