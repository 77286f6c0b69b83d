import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { engine } from '../engine.js';
import { packFiles } from '../tar.js';

const BUILD_MS = 120_000;

/** Builds an image on the engine from files given as text, a `Dockerfile` among them, and gives its id. */
export async function buildTestImage(files: Record<string, string>): Promise<{ id: string; remove(): Promise<void> }> {
  const tag = `kiln-test-${randomBytes(6).toString('hex')}`;
  const options = { t: tag, forcerm: true, networkmode: 'none', abortSignal: AbortSignal.timeout(BUILD_MS) };
  const context = Readable.from(packFiles(Object.entries(files)));
  const output = await text((await engine.buildImage(context, options)) as Readable);
  if (output.includes('"error"')) throw new Error(`the test image does not build: ${output}`);
  const { Id } = await engine.getImage(tag).inspect();
  return {
    id: Id,
    remove: async () => {
      await engine.getImage(tag).remove({ force: true });
    },
  };
}

const RUNNER = `
import http from 'node:http';
import net from 'node:net';
const { default: handler } = await import('/app/index.mjs');
const server = http.createServer((request, response) => handler(request, response, server));
server.keepAliveTimeout = 0;
server.requestTimeout = 0;
const wanted = Number(process.env.KILN_CONCURRENCY);
let open = 0;
let busy = 0;
function fill() {
  while (open < Math.min(wanted, busy + 1)) {
    open++;
    const socket = net.connect(process.env.KILN_SOCKET, () => server.emit('connection', socket));
    socket.on('error', () => {});
    socket.on('close', () => { open--; setTimeout(fill, 5); });
  }
}
server.on('request', (request, response) => { busy++; response.on('close', () => { busy--; }); fill(); });
fill();
`;

/** An image of the runner kind around one handler, `export default (request, response) => …`; it dials in as the real runner does. */
export function buildRunnerImage(handler: string): Promise<{ id: string; remove(): Promise<void> }> {
  return buildTestImage({
    Dockerfile: 'FROM node:24-trixie-slim\nLABEL kiln.kind=runner\nCOPY runner.mjs /opt/kiln/runner.mjs\nCOPY index.mjs /app/index.mjs\n',
    'runner.mjs': RUNNER,
    'index.mjs': handler,
  });
}
