import { describe, expect, it } from 'vitest';
import { get, openDoor } from './door.fixture.js';
import { cookieBelow, keepToPrefix } from './from-node.js';

const PREFIX = '/fn/hello';

describe('cookieBelow', () => {
  it.each([
    ['a=1; Path=/', 'a=1; Path=/fn/hello/'],
    ['a=1; HttpOnly; Path=/admin; Secure', 'a=1; HttpOnly; Secure; Path=/fn/hello/admin'],
    ['a=1; Path=/; Path=/shop', 'a=1; Path=/fn/hello/shop'],
    ['a=1; PATH = / ; pAtH\t=\t/', 'a=1; Path=/fn/hello/'],
    ['a=1; Path=/fn/hello/own', 'a=1; Path=/fn/hello/own'],
    ['a=1; Path=/fn/hello', 'a=1; Path=/fn/hello'],
    ['a=1; Path=/fn/hello2', 'a=1; Path=/fn/hello/fn/hello2'],
    ['a=1; Path=/fn/other/', 'a=1; Path=/fn/hello/fn/other/'],
    ['a=1; Domain=localhost; Path=/', 'a=1; Path=/fn/hello/'],
    ['a=1; domain = .localhost', 'a=1'],
    ['a=1', 'a=1'],
    ['a=1; Path', 'a=1'],
    ['a=1; Path=/; Path=; Secure', 'a=1; Secure'],
    ['a=1; Path="/"', 'a=1'],
    ['', ''],
  ])('turns %j into %j', (cookie, expected) => {
    expect(cookieBelow(cookie, PREFIX, true)).toBe(expected);
  });

  it('names the prefix where the default path would be the one above', () => {
    expect(cookieBelow('a=1', PREFIX, false)).toBe('a=1; Path=/fn/hello/');
    expect(cookieBelow('a=1; Path=x', PREFIX, false)).toBe('a=1; Path=/fn/hello/');
  });

  it('sets the prefix where the path would be too long for browsers, which then take the path of the page above', () => {
    expect(cookieBelow(`a=1; Path=/${'x'.repeat(2000)}`, PREFIX, true)).toBe('a=1; Path=/fn/hello/');
  });

  it('takes time that grows with the length alone', () => {
    const measure = (length: number) => {
      const cookie = `a=1;${' '.repeat(length)}${'path ='.repeat(length / 6)}`;
      const began = performance.now();
      for (let i = 0; i < 20; i++) cookieBelow(cookie, PREFIX, true);
      return performance.now() - began;
    };
    measure(1000);
    expect(measure(64_000)).toBeLessThan(40 * Math.max(1, measure(6400)));
  });
});

describe('keepToPrefix', () => {
  it('drops what speaks for the whole origin and keeps all else in order', () => {
    const lines = [
      'A',
      '1',
      'Alt-Svc',
      'h3=":443"',
      'B',
      '2',
      'STRICT-Transport-Security',
      'max-age=1',
      'Clear-Site-Data',
      '"*"',
      'C',
      '3',
    ];
    expect(keepToPrefix(lines, PREFIX, true)).toEqual(['A', '1', 'B', '2', 'C', '3']);
  });

  it('touches nothing else', () => {
    const lines = ['Content-Type', 'text/html', 'ETag', '"x"', 'X-Nel', '1', 'Location', '/'];
    expect(keepToPrefix(lines, PREFIX, true)).toBe(lines);
  });
});

describe('functions that share the origin of path URLs', () => {
  const SETS = [
    'Set-Cookie',
    'session=stolen; Path=/',
    'Set-Cookie',
    'b=2; Domain=localhost',
    'Service-Worker-Allowed',
    '/',
    'Clear-Site-Data',
    '"cookies"',
    'Alt-Svc',
    'h2="evil.example:443"',
    'Strict-Transport-Security',
    'max-age=31536000',
  ];
  const open = () =>
    openDoor({
      answer: (_request, response) => {
        response.writeHead(200, [...SETS, 'Content-Length', '0']);
        response.end();
      },
    });

  it('set no cookie for each other, and nothing for the origin', async () => {
    const { headers } = await get(await open(), '/fn/hello/page');
    expect(headers['set-cookie']).toEqual(['session=stolen; Path=/fn/hello/', 'b=2']);
    for (const name of ['service-worker-allowed', 'clear-site-data', 'alt-svc', 'strict-transport-security']) {
      expect(headers[name], name).toBeUndefined();
    }
  });

  it('set none for each other by an address without a slash either', async () => {
    const { headers } = await get(await open(), '/fn/hello', { method: 'POST' });
    expect(headers['set-cookie']).toEqual(['session=stolen; Path=/fn/hello/', 'b=2; Path=/fn/hello/']);
  });

  it('keep the cookies of a fixed version to that version', async () => {
    const { headers } = await get(await open(), '/fn/hello@1/');
    expect(headers['set-cookie']?.[0]).toBe('session=stolen; Path=/fn/hello@1/');
  });

  it('have all of it on a host of their own', async () => {
    const { headers } = await get(await open(), '/', { headers: { host: 'hello.localhost' } });
    expect(headers['set-cookie']).toEqual(['session=stolen; Path=/', 'b=2; Domain=localhost']);
    expect(headers['clear-site-data']).toBe('"cookies"');
  });

  it('are not reached by path where that is turned off', async () => {
    const door = await openDoor({ config: { callsByPath: false } });
    const byPath = await get(door, '/fn/hello/');
    expect([byPath.statusCode, byPath.headers['x-kiln-error']]).toEqual([404, 'not_found']);
    expect((await get(door, '/', { headers: { host: 'hello.localhost' } })).statusCode).toBe(200);
  });
});
