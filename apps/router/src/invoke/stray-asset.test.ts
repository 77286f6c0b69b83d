import http from 'node:http';
import { describe, expect, it } from 'vitest';
import { type DoorOptions, openDoor } from './door.fixture.js';

interface Got {
  status: number;
  location: string | undefined;
}

async function ask(path: string, headers: Record<string, string>, options: DoorOptions & { method?: string } = {}): Promise<Got> {
  const { port } = await openDoor({ functions: { hello: {}, 'hello-two': {} }, ...options });
  const { promise, resolve, reject } = Promise.withResolvers<Got>();
  const filled = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value.replace('PORT', String(port))]));
  http
    .request({ host: '127.0.0.1', port, path, method: options.method ?? 'GET', headers: filled, agent: false }, (response) => {
      response.resume();
      resolve({ status: response.statusCode ?? 0, location: response.headers.location });
    })
    .on('error', reject)
    .end();
  return await promise;
}

const page = (path: string) => ({ host: 'localhost:PORT', referer: `http://localhost:PORT${path}` });

describe('a file at the root that a page under /fn/<name>/ asks for', () => {
  it.each([
    ['/fn/hello/', '/logo.svg', '/fn/hello/logo.svg'],
    ['/fn/hello/users/5?x=1', '/assets/a.js?v=1&w=/b', '/fn/hello/assets/a.js?v=1&w=/b'],
    ['/fn/hello-two/', '/a.css', '/fn/hello-two/a.css'],
    ['/fn/hello/assets/a.css', '/font.woff2', '/fn/hello/font.woff2'],
    ['/fn/hello@1/', '/a.css', '/fn/hello@1/a.css'],
    ['/fn/hello', '/a.css', '/fn/hello/a.css'],
    ['/fn/hello/', '//other.example/a.css', '/fn/hello//other.example/a.css'],
    ['/fn/%68ello/', '/a%2Fb.css', '/fn/hello/a%2Fb.css'],
  ])('from %s: %s is at %s', async (from, path, location) => {
    expect(await ask(path, page(from))).toEqual({ status: 307, location });
  });

  it('is found also behind a proxy that is trusted and by the name that it was asked by', async () => {
    const headers = { host: 'inside:PORT', 'x-forwarded-host': 'Kiln.Example', referer: 'https://kiln.example/fn/hello/' };
    const trusted = { config: { trustedProxies: ['127.0.0.1'] } };
    expect(await ask('/a.css', headers, trusted)).toEqual({ status: 307, location: '/fn/hello/a.css' });
    expect((await ask('/a.css', headers)).status).toBe(404);
    const usual = { host: 'kiln.example:443', referer: 'https://kiln.example/fn/hello/' };
    expect((await ask('/a.css', usual)).status).toBe(307);
  });

  it.each([
    ['is no file', '/users', page('/fn/hello/')],
    ['is the root', '/', page('/fn/hello/')],
    ['has its dot in the query', '/users?file=a.css', page('/fn/hello/')],
    ['has its dot in a folder', '/v1.2/users', page('/fn/hello/')],
    ['is asked for without a page', '/a.css', { host: 'localhost:PORT' }],
    ['is asked for by a page of another host', '/a.css', { host: 'localhost:PORT', referer: 'http://other.example/fn/hello/' }],
    ['is asked for by a page of another port', '/a.css', { host: 'localhost:PORT', referer: 'http://localhost:1/fn/hello/' }],
    ['is asked for by a page that is no function', '/a.css', page('/about/')],
    ['is asked for by a page of no function that exists', '/a.css', page('/fn/hell/')],
    ['is asked for by something that is no address', '/a.css', { host: 'localhost:PORT', referer: 'hello' }],
    ['is asked for by a page whose name only begins so', '/a.css', page('/fn/hello/../other/')],
  ])('stays where it is when it %s', async (_why, path, headers) => {
    expect(await ask(path, headers as Record<string, string>)).toEqual({ status: 404, location: undefined });
  });

  it('changes nothing for other methods, for the router’s own paths and by host', async () => {
    expect((await ask('/a.css', page('/fn/hello/'), { method: 'POST' })).status).toBe(404);
    expect((await ask('/healthz', page('/fn/hello/'))).status).toBe(200);
    const byHost = { host: 'hello.localhost:PORT', referer: 'http://hello.localhost:PORT/fn/hello-two/' };
    expect((await ask('/a.css', byHost)).status).toBe(200);
  });
});
