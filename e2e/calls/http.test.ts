import http from 'node:http';
import { gunzipSync } from 'node:zlib';
import { type Answer, call, values } from '@kiln/testing/call';
import { type Cluster, startCluster } from '@kiln/testing/cluster';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { errorOf, example, fixture } from '../support/inside.js';
import { sendRaw } from '../support/raw-socket.js';

interface Echo {
  method: string;
  url: string;
  version: string;
  rawHeaders: string[];
  body: string;
}

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({ nodes: 2 });
  await cluster.deploy(fixture('echo'), { name: 'echo' });
});
afterAll(() => cluster?.stop());

const echoed = (answer: Answer) => answer.json<Echo>();

describe('a request arrives as it was sent', () => {
  it.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'QUERY', 'PROPFIND', 'M-SEARCH'])('with method %s', async (method) => {
    const answer = await cluster.call('/fn/echo/x', { method });
    expect([answer.status, echoed(answer).method]).toEqual([200, method]);
  });

  it.each([
    '/',
    '/a/b',
    '/a//b/',
    '/%2Fa%2fb',
    '/a%20b?c=%20d&c=2&e',
    '/?',
    '/a?b?c=/../d',
    '/..%2f..%2fx',
    '/a/./b',
    '/a/../b',
    '/a;v=1/(b)!*~',
    '//evil.example/x',
    '/http://evil.example/x',
    '/@9/fn/other/',
  ])('with path %s untouched', async (path) => {
    const answer = await cluster.call(`/fn/echo${path}`);
    expect([answer.status, echoed(answer).url]).toEqual([200, path]);
    const byHost = await cluster.call(path, { headers: { host: 'echo.localhost' } });
    expect([byHost.status, echoed(byHost).url]).toEqual([200, path]);
  });

  it('with its headers in order and case, repeated ones apart, and the prefix told', async () => {
    const sent = [
      'Host',
      'localhost',
      'X-B',
      '1',
      'x-a',
      '2',
      'X-B',
      '3',
      'Accept',
      'a, b',
      'Cookie',
      'k=v',
      'Authorization',
      'Bearer user',
    ];
    const { rawHeaders } = echoed(await cluster.call('/fn/echo/', { headers: sent }));
    const own = rawHeaders.flatMap((name, i) =>
      i % 2 === 0 && /^(x-[ab]|accept|cookie|authorization)$/i.test(name) ? [name, rawHeaders[i + 1]] : [],
    );
    expect(own).toEqual(sent.slice(2));
    expect(values(rawHeaders, 'host')).toEqual(['localhost']);
    expect(values(rawHeaders, 'x-forwarded-prefix')).toEqual(['/fn/echo']);
    expect(values(rawHeaders, 'x-forwarded-proto')).toEqual(['http']);
    expect(values(rawHeaders, 'x-forwarded-host')).toEqual(['localhost']);
    expect(values(rawHeaders, 'x-request-id')).toHaveLength(1);
  });

  it('without hop-by-hop headers, the ones that Connection names, and every x-kiln one', async () => {
    const headers = [
      'Host',
      'localhost',
      'Connection',
      'close, X-Hop, x-request-id',
      'X-Hop',
      '1',
      'Keep-Alive',
      'timeout=9',
      'TE',
      'gzip',
    ];
    headers.push('Proxy-Authorization', 'x', 'X-Kiln-Secret', 'guess', 'x_kiln_function', 'other', 'x-KILN-node', 'mine');
    const { rawHeaders } = echoed(await cluster.call('/fn/echo/', { headers }));
    const names = rawHeaders.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase());
    for (const gone of ['x-hop', 'keep-alive', 'te', 'proxy-authorization']) expect(names).not.toContain(gone);
    expect(names.filter((name) => /^x[-_]kiln/.test(name))).toEqual([]);
    expect(names).toContain('x-request-id');
  });

  it('with forwarding headers that say what is so, not what the caller claims', async () => {
    const headers = {
      'x-forwarded-for': '1.2.3.4',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'bank.example',
      forwarded: 'for=1.2.3.4',
    };
    const { rawHeaders } = echoed(await cluster.call('/fn/echo/', { headers }));
    expect(values(rawHeaders, 'x-forwarded-for')).toEqual(['127.0.0.1']);
    expect(values(rawHeaders, 'x-forwarded-proto')).toEqual(['http']);
    expect(values(rawHeaders, 'x-forwarded-host').join()).not.toContain('bank');
    expect(values(rawHeaders, 'forwarded').join()).not.toContain('1.2.3.4');
  });

  it.each([
    ['POST', 'text'],
    ['GET', 'a body with a GET'],
    ['DELETE', 'a body with a DELETE'],
  ])('with the body of a %s', async (method, body) => {
    const answer = echoed(await cluster.call('/fn/echo/', { method, body, headers: { 'content-length': String(body.length) } }));
    expect(Buffer.from(answer.body, 'base64').toString()).toBe(body);
    expect(values(answer.rawHeaders, 'content-length')).toEqual([String(body.length)]);
  });

  it('with a chunked body and every byte value', async () => {
    const body = Buffer.from(Array.from({ length: 1024 }, (_, i) => i % 256));
    const answer = echoed(await cluster.call('/fn/echo/', { method: 'PUT', headers: { 'transfer-encoding': 'chunked' }, body }));
    expect(Buffer.from(answer.body, 'base64').equals(body)).toBe(true);
  });

  it('from an HTTP/1.0 client, which gets an answer that ends with the connection', async () => {
    const { text } = await sendRaw(cluster.router.ports.data, 'GET /fn/echo/old HTTP/1.0\r\nHost: localhost\r\n\r\n');
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    expect(text).toMatch(/"url":"\/old"/);
    expect(text).not.toMatch(/^transfer-encoding/im);
  });
});

describe('an answer arrives as the function gave it', () => {
  it('with several Set-Cookie lines and repeated headers apart', async () => {
    const { rawHeaders } = await cluster.call('/_/cookies', { headers: { host: 'echo.localhost' } });
    expect(values(rawHeaders, 'set-cookie')).toEqual(['a=1; Path=/', 'b=2, x; HttpOnly']);
    expect(values(rawHeaders, 'x-twice')).toEqual(['one', 'two']);
    // By path all functions share one origin: what is for the whole of it is kept to the function.
    const byPath = await cluster.call('/fn/echo/_/cookies');
    expect(values(byPath.rawHeaders, 'set-cookie')).toEqual(['a=1; Path=/fn/echo/', 'b=2, x; HttpOnly']);
  });

  it('with a gzip body untouched', async () => {
    const answer = await cluster.call('/fn/echo/_/gzip', { headers: { 'accept-encoding': 'gzip' } });
    expect(answer.headers['content-encoding']).toBe('gzip');
    expect(gunzipSync(answer.body).toString()).toBe('packed '.repeat(100));
  });

  it('with a body for GET and none for HEAD, 204 and 304', async () => {
    const head = await cluster.call('/fn/echo/', { method: 'HEAD' });
    expect([head.status, head.body.length]).toEqual([200, 0]);
    const empty = await cluster.call('/fn/echo/_/no-content');
    expect([empty.status, empty.body.length, empty.headers['transfer-encoding'], empty.headers['content-length']]).toEqual([
      204,
      0,
      undefined,
      undefined,
    ]);
    const unchanged = await cluster.call('/fn/echo/_/not-modified');
    expect([unchanged.status, unchanged.body.length, unchanged.headers.etag]).toEqual([304, 0, '"x"']);
  });

  it('without any x-kiln header of its own', async () => {
    const answer = await cluster.call('/fn/echo/_/kiln-headers');
    expect(answer.status).toBe(200);
    expect(errorOf(answer)).toBeUndefined();
    expect(values(answer.rawHeaders, 'x-kiln-node')).not.toContain('forged');
    expect(values(answer.rawHeaders, 'x-kiln-load')).toEqual([]);
  });

  it('and is cut off, not ended, where the function broke it off', async () => {
    await expect(cluster.call('/fn/echo/_/cut')).rejects.toThrow(/aborted|hang up|reset|terminated/i);
  });

  it('on a connection that serves many calls in turn', async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    try {
      for (const path of ['/a', '/_/no-content', '/_/not-modified', '/_/gzip', '/_/cookies', '/b']) {
        const answer = await call(cluster.router.ports.data, `/fn/echo${path}`, { agent });
        expect(answer.status).toBeLessThan(400);
      }
      expect(Object.values(agent.freeSockets).flat()).toHaveLength(1);
    } finally {
      agent.destroy();
    }
  });
});

describe('the examples', () => {
  it.each(['express', 'python'])('%s answers', async (name) => {
    await cluster.deploy(example(name), { name });
    const answer = await cluster.call(`/fn/${name}/`);
    expect(answer.status, answer.text).toBe(200);
  });
});
