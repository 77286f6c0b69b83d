import { describe, expect, it } from 'vitest';
import { pickVersion } from './address.js';
import { echoed, exchangeRaw, get, openDoor, routeOf, text, valuesOf } from './door.fixture.js';

const keys = {
  allows: (authorization: string | undefined, scope: string) =>
    authorization === 'Bearer caller' && scope === 'invoke'
      ? ('ok' as const)
      : authorization === 'Bearer reader'
        ? ('forbidden' as const)
        : ('unauthorized' as const),
};

describe('a function that wants a key', () => {
  it('takes one with the scope, and no other', async () => {
    const door = await openDoor({ functions: { hello: { auth: 'key' }, open: {} }, keys });
    const call = (authorization?: string) => get(door, '/fn/hello/', { headers: authorization === undefined ? {} : { authorization } });
    expect((await call()).headers).toMatchObject({ 'x-kiln-error': 'unauthorized' });
    expect((await call('Bearer wrong')).statusCode).toBe(401);
    expect((await call('Bearer reader')).statusCode).toBe(403);
    expect(door.agents[0]!.requests).toHaveLength(0);
    expect((await call('Bearer caller')).statusCode).toBe(200);
    expect((await get(door, '/fn/open/')).statusCode).toBe(200);
  });

  it('never learns it, while one without sees what its callers send', async () => {
    const door = await openDoor({ functions: { hello: { auth: 'key' }, open: {} }, keys });
    const closed = await echoed(door, 'GET /fn/hello/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer caller');
    expect(valuesOf(closed, 'authorization')).toEqual([]);
    const open = await echoed(door, 'GET /fn/open/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic abc');
    expect(valuesOf(open, 'authorization')).toEqual(['Basic abc']);
  });

  const ORIGIN = 'Origin: https://shop.example\r\n';
  const WANTED = 'Access-Control-Request-Method: GET\r\n';

  it('lets it answer a browser’s preflight, which has no key', async () => {
    const door = await openDoor({ functions: { hello: { auth: 'key' } }, keys });
    const seen = await echoed(door, `OPTIONS /fn/hello/a HTTP/1.1\r\nHost: localhost\r\n${ORIGIN}${WANTED}Authorization: Bearer wrong`);
    expect([seen.method, seen.url]).toEqual(['OPTIONS', '/a']);
    expect(valuesOf(seen, 'access-control-request-method')).toEqual(['GET']);
    expect(valuesOf(seen, 'authorization')).toEqual([]);
  });

  const SWITCH = 'Connection: Upgrade\r\nUpgrade: websocket\r\n';
  it.each([
    ['OPTIONS alone', 'OPTIONS', ''],
    ['OPTIONS with an origin alone', 'OPTIONS', ORIGIN],
    ['OPTIONS with the method alone', 'OPTIONS', WANTED],
    ['its headers on a GET', 'GET', ORIGIN + WANTED],
    ['its headers on a switch of protocols', 'OPTIONS', ORIGIN + WANTED + SWITCH],
    ['its headers on a body', 'OPTIONS', `${ORIGIN}${WANTED}Content-Length: 1\r\n`],
    ['its headers on another method', 'OPTIONS', `${ORIGIN}${WANTED}X-HTTP-Method-Override: DELETE\r\n`],
    ['its headers on chunks', 'OPTIONS', `${ORIGIN}${WANTED}Transfer-Encoding: chunked\r\n`],
  ])('takes no other call for a preflight: %s', async (_what, method, lines) => {
    const door = await openDoor({ functions: { hello: { auth: 'key' } }, keys });
    const answer = await exchangeRaw(door.port, `${method} /fn/hello/ HTTP/1.1\r\nHost: localhost\r\n${lines}\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 401 [\s\S]*x-kiln-error: unauthorized\r\n/);
    expect(door.agents[0]!.requests).toHaveLength(0);
  });
});

describe('what there is not', () => {
  it('names the function or the version that is missing', async () => {
    const door = await openDoor();
    const nobody = await get(door, '/fn/nobody/');
    expect(nobody.statusCode).toBe(404);
    expect(JSON.parse(await text(nobody))).toMatchObject({ code: 'function_not_found', detail: 'there is no function "nobody"' });
    expect(JSON.parse(await text(await get(door, '/fn/hello@9/')))).toMatchObject({ code: 'version_not_found', status: 404 });
    expect(await exchangeRaw(door.port, 'GET / HTTP/1.1\r\nHost: nobody.localhost\r\n\r\n')).toMatch(
      /^HTTP\/1\.1 404 [\s\S]*function_not_found/,
    );
    // Names of what does not exist come from outside: they never become a record, so never a metric.
    expect(door.records).toEqual([]);
  });
});

describe('pickVersion', () => {
  const route = {
    ...routeOf('hello', {}),
    traffic: [
      { version: 1, weight: 90 },
      { version: 2, weight: 10 },
      { version: 3, weight: 0 },
    ],
  };

  it('draws by weight', () => {
    const draws = (at: number) => pickVersion(route, undefined, () => at)?.version;
    expect([0, 0.5, 0.899, 0.9, 0.999].map(draws)).toEqual([1, 1, 1, 2, 2]);
  });

  it('takes the fixed version where one is asked for', () => {
    expect(pickVersion(route, 2, () => 0)?.version).toBe(2);
    expect(pickVersion(route, 3, () => 0)).toBeUndefined();
  });

  it('finds none where there is no traffic yet', () => {
    expect(pickVersion({ ...route, traffic: [] }, undefined, () => 0)).toBeUndefined();
  });
});
