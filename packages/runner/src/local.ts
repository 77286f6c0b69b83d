import type http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { FunctionExport } from './handler/exports.js';
import { Unanswered } from './handler/unanswered.js';
import { createListener, createServer, type ServedExport } from './server.js';

/** Serves every export at `/<export>`; the function sees the rest of the path, as on the platform. */
export async function serveLocally(exports: readonly FunctionExport[], port: number): Promise<void> {
  const { wait } = new Unanswered(1);
  const byName = new Map<string, ServedExport>();
  for (const target of exports) byName.set(target.name, { target, listener: await createListener(target, wait) });
  const nothing = (response: http.ServerResponse) => notFound(response, [...byName.keys()]);
  const base = await listen(port, (request) => takePrefix(byName, request) ?? nothing);
  for (const name of byName.keys()) console.info(`${name}: ${base}/${encodeURIComponent(name)}`);
}

/** Serves one export at `/`, whatever the path. */
export async function serveOne(target: FunctionExport, port: number): Promise<void> {
  const listener = await createListener(target, new Unanswered(1).wait);
  console.info(`${target.name}: ${await listen(port, () => ({ target, listener }))}`);
}

async function listen(port: number, choose: Parameters<typeof createServer>[0]): Promise<string> {
  const server = createServer(choose);
  // Neither the listener nor an open connection keeps the process alive: see Unanswered.
  server.on('connection', (socket) => socket.unref());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, resolve);
  });
  server.unref();
  return `http://localhost:${(server.address() as AddressInfo).port}`;
}

function takePrefix(byName: ReadonlyMap<string, ServedExport>, request: http.IncomingMessage): ServedExport | undefined {
  const [, segment = '', rest = ''] = /^\/([^/?#]*)(.*)$/s.exec(request.url ?? '') ?? [];
  const served = byName.get(decoded(segment));
  if (served !== undefined) request.url = rest.startsWith('/') ? rest : `/${rest}`;
  return served;
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
