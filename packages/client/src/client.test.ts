import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { KilnError, toProblem } from '@kiln/contract/errors';
import { expect, it, onTestFinished } from 'vitest';
import { KilnClient } from './client.js';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

async function serve(answer: Answer): Promise<{ client: KilnClient; url: string; seen: IncomingMessage[] }> {
  const seen: IncomingMessage[] = [];
  const server = http.createServer((request, response) => {
    seen.push(request);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { client: new KilnClient({ url: `${url}/`, apiKey: 'kiln_a_b' }), url, seen };
}

const json =
  (status: number, value: unknown, headers: Record<string, string> = {}): Answer =>
  (request, response) => {
    request.resume();
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify(value));
  };

async function refusal(promise: Promise<unknown>): Promise<KilnError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(KilnError);
  return error as KilnError;
}

const deployed = { function: 'hello', version: 2, digest: 'sha256:x', url: 'http://x', changed: true };

it('sends the key, and reads a list to its last page', async () => {
  const { client, seen } = await serve((request, response) => {
    const second = request.url?.includes('after=b');
    json(200, second ? { items: [{ name: 'c' }], next: null } : { items: [{ name: 'a' }, { name: 'b' }], next: 'b' })(request, response);
  });
  expect((await client.functions.list()).map(({ name }) => name)).toEqual(['a', 'b', 'c']);
  expect(seen.map(({ url }) => url)).toEqual(['/v1/functions', '/v1/functions?after=b']);
  expect(seen[0]?.headers.authorization).toBe('Bearer kiln_a_b');
});

it('throws the server’s own error, with its fix and when to come back', async () => {
  const error = new KilnError('unavailable', 'the store is away', { fix: 'wait', fields: [{ field: 'x', message: 'y' }] });
  const { client } = await serve(json(503, toProblem(error, 'r1'), { 'retry-after': '7' }));
  expect(await refusal(client.nodes.list())).toMatchObject({
    code: 'unavailable',
    message: 'the store is away',
    fix: 'wait',
    retryAfter: 7,
    fields: [{ field: 'x', message: 'y' }],
  });
});

it('gives a code to answers that are not Kiln’s', async () => {
  const { client } = await serve((request, response) => {
    request.resume();
    response.writeHead(502).end('<html>bad gateway</html>');
  });
  expect(await refusal(client.store.get())).toMatchObject({ code: 'unavailable', message: 'the server answered 502' });
});

it('says which URL can not be reached', async () => {
  const client = new KilnClient({ url: 'http://127.0.0.1:2', apiKey: 'k' });
  const error = await refusal(client.functions.list());
  expect(error.code).toBe('unavailable');
  expect(error.message).toMatch(/cannot reach http:\/\/127\.0\.0\.1:2: .*ECONNREFUSED/);
});

it('does not take its key along to where a redirection points', async () => {
  const { client, seen } = await serve((_request, response) => response.writeHead(307, { location: '/elsewhere' }).end());
  expect((await refusal(client.store.get())).code).toBe('unavailable');
  expect(seen).toHaveLength(1);
});

it('keeps names inside their segment of the path', async () => {
  const { client, seen } = await serve(json(200, {}));
  await client.functions.get('a/b?c#d');
  expect(seen[0]?.url).toBe('/v1/functions/a%2Fb%3Fc%23d');
  await expect((async () => client.functions.get('..'))()).rejects.toMatchObject({ code: 'bad_request' });
});

it('uploads a stream, tells the lines as they come, and returns what was deployed', async () => {
  let received = 0;
  const { client } = await serve((request, response) => {
    response.writeHead(200);
    response.write('\n{"type":"log","line":"step 1"}\n{"type":"lo');
    request.on('data', (chunk: Buffer) => {
      received += chunk.length;
    });
    request.on('end', () => response.end(`g","line":"größe"}\n${JSON.stringify({ type: 'done', ...deployed })}`));
  });
  const lines: string[] = [];
  const tar = Readable.from(Array.from({ length: 100 }, () => Buffer.alloc(10_000)));
  expect(await client.deploy('hello', tar, (line) => lines.push(line))).toEqual(deployed);
  expect(lines).toEqual(['step 1', 'größe']);
  expect(received).toBe(1_000_000);
});

it('throws what a failed deployment ended with', async () => {
  const { client } = await serve(json(200, { type: 'failed', code: 'start_failed', detail: 'exit code 1', fix: 'look' }));
  expect(await refusal(client.deploy('hello', Readable.from(['x']), () => undefined))).toMatchObject({
    code: 'start_failed',
    message: 'exit code 1',
    fix: 'look',
  });
});

it('tells an answer that broke off from a deployment that ended', async () => {
  const { client } = await serve((request, response) => {
    request.resume();
    response.writeHead(200);
    response.write('{"type":"log","line":"step 1"}\n', () => response.destroy());
  });
  expect((await refusal(client.deploy('hello', Readable.from(['x']), () => undefined))).code).toBe('unavailable');
  const { client: ended } = await serve(json(200, { type: 'log', line: 'x' }));
  expect((await refusal(ended.deploy('hello', Readable.from(['x']), () => undefined))).message).toMatch(/ended before/);
});

it('throws the error of a source that broke, not one of the network', async () => {
  const { client } = await serve((request) => request.resume());
  const tar = new Readable({ read: () => undefined });
  tar.push('x');
  setImmediate(() => tar.destroy(new Error('a file vanished')));
  await expect(client.deploy('hello', tar, () => undefined)).rejects.toThrowError('a file vanished');
});

it('follows logs until the reader stops, and closes the connection then', async () => {
  let closed = false;
  const { client, seen } = await serve((request, response) => {
    response.on('close', () => {
      closed = true;
    });
    response.writeHead(200);
    response.write('{"message":"one"}\n\n{"message":"two"}\n');
    request.resume();
  });
  const messages: string[] = [];
  for await (const { message } of client.logs('hello', { follow: true, level: 'warn' })) {
    messages.push(message);
    if (messages.length === 2) break;
  }
  expect(messages).toEqual(['one', 'two']);
  expect(seen[0]?.url).toBe('/v1/functions/hello/logs?level=warn&follow=true');
  await expect.poll(() => closed).toBe(true);
});
