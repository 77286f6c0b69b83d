import { METHODS } from 'node:http';
import { describe, expect, it } from 'vitest';
import { type Echoed, echoed, get, openDoor, SECRET, text, valuesOf } from './door.fixture.js';

describe('what the function sees', () => {
  it('the target, its bytes untouched, without the prefix, which is told', async () => {
    const door = await openDoor();
    const seen = await echoed(door, 'GET /fn/hello@2/a%2Fb//%C3%A4?q=%20&q=+&& HTTP/1.1\r\nHost: localhost');
    expect(seen.url).toBe('/a%2Fb//%C3%A4?q=%20&q=+&&');
    expect(valuesOf(seen, 'x-forwarded-prefix')).toEqual(['/fn/hello@2']);
    expect(valuesOf(seen, 'x-kiln-version')).toEqual(['2']);
    const byHost = await echoed(door, 'GET //x HTTP/1.1\r\nHost: hello.localhost:8080');
    expect(byHost.url).toBe('//x');
    expect(valuesOf(byHost, 'x-forwarded-prefix')).toEqual([]);
    expect(valuesOf(byHost, 'host')).toEqual(['hello.localhost:8080']);
  });

  // HEAD has no answer to look at; the other two are no calls of functions.
  it.each(METHODS.filter((method) => !['HEAD', 'CONNECT', 'TRACE'].includes(method)))('the method %s', async (method) => {
    const door = await openDoor();
    const body = method === 'GET' || method === 'OPTIONS' ? '' : 'abc';
    const seen = await echoed(door, `${method} /fn/hello/ HTTP/1.1\r\nHost: localhost${body && '\r\nContent-Length: 3'}`, body);
    expect(seen).toMatchObject({ method, bytes: body.length });
  });

  it('headers in order, in their case, each line by itself', async () => {
    const door = await openDoor();
    const { headers } = await echoed(
      door,
      'GET /fn/hello/ HTTP/1.1\r\nHost: localhost\r\nX-B: 1\r\nx-a: 2\r\nX-b: 3\r\nCookie: a=1\r\nCookie: b=2\r\nX-Latin: \xe4',
    );
    expect(headers.join('\n')).toContain('X-B\n1\nx-a\n2\nX-b\n3\nCookie\na=1\nCookie\nb=2\nX-Latin\n\xe4');
  });

  it('nothing that belongs to the hop, and nothing that a client claims to be ours', async () => {
    const door = await openDoor();
    const seen = await echoed(
      door,
      'GET /fn/hello/ HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, X-Gone, x-kiln-secret, x-forwarded-for\r\nX-Gone: 1\r\nKeep-Alive: 1\r\nTE: trailers\r\nProxy-Connection: x\r\nUpgrade: h2c\r\n' +
        'X-Kiln-Secret: mine\r\nx_kiln_function: other\r\nX-KILN_anything: 1\r\nx-forwarded-for: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nx_forwarded_host: evil\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6',
    );
    const names = seen.headers.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase());
    for (const gone of [
      'x-gone',
      'te',
      'proxy-connection',
      'upgrade',
      'x_kiln_function',
      'x-kiln_anything',
      'x_forwarded_host',
      'x-real-ip',
    ])
      expect(names).not.toContain(gone);
    expect(valuesOf(seen, 'x-kiln-secret')).toEqual([SECRET]);
    expect(valuesOf(seen, 'x-kiln-function')).toEqual(['hello']);
    expect(valuesOf(seen, 'x-forwarded-for')).toEqual(['127.0.0.1']);
    expect(valuesOf(seen, 'x-forwarded-proto')).toEqual(['http']);
    expect(valuesOf(seen, 'x-forwarded-host')).toEqual(['localhost']);
    expect(valuesOf(seen, 'forwarded')).toEqual(['for=127.0.0.1;proto=http;host="localhost"']);
  });

  it('what a trusted proxy says, with the proxy added', async () => {
    const door = await openDoor({ config: { trustedProxies: ['10.0.0.0/8', '127.0.0.0/8', '::1'] } });
    const seen = await echoed(
      door,
      'GET /fn/hello/ HTTP/1.1\r\nHost: inner\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: outer\r\nForwarded: for=1.1.1.1\r\nX-Real-IP: 1.1.1.1',
    );
    expect(valuesOf(seen, 'x-forwarded-for')).toEqual(['1.1.1.1, 2.2.2.2, 127.0.0.1']);
    expect(valuesOf(seen, 'x-forwarded-proto')).toEqual(['https']);
    expect(valuesOf(seen, 'x-forwarded-host')).toEqual(['outer']);
    expect(valuesOf(seen, 'forwarded')).toEqual(['for=1.1.1.1, for=127.0.0.1;proto=https;host="inner"']);
    expect(valuesOf(seen, 'x-real-ip')).toEqual(['1.1.1.1']);
  });

  it.each([
    ['https,http', 'https'],
    ['https, http', 'https'],
    ['HTTPS', 'https'],
    ['wss', 'https'],
    ['http, https', 'http'],
    ['ftp', 'http'],
    ['', 'http'],
  ])('takes from a list of a trusted proxy what the caller used: %j is %s', async (list, proto) => {
    const door = await openDoor({ config: { trustedProxies: ['127.0.0.0/8'] } });
    const seen = await echoed(
      door,
      `GET /fn/hello/ HTTP/1.1\r\nHost: inner\r\nX-Forwarded-Proto: ${list}\r\nX-Forwarded-Host: outer.example, inner`,
    );
    expect(valuesOf(seen, 'x-forwarded-proto')).toEqual([proto]);
    expect(valuesOf(seen, 'x-forwarded-host')).toEqual(['outer.example']);
    expect(valuesOf(seen, 'forwarded')).toEqual([`for=127.0.0.1;proto=${proto};host="inner"`]);
  });

  it('a well-formed request id of the caller, else one of ours; the caller gets the same', async () => {
    const door = await openDoor();
    for (const [given, kept] of [
      ['my.id-1:2_3', true],
      ['a b', false],
      ['x'.repeat(129), false],
    ] as const) {
      const response = await get(door, '/fn/hello/', { headers: { 'x-request-id': given } });
      const seen = JSON.parse(await text(response)) as Echoed;
      expect(valuesOf(seen, 'x-request-id')).toEqual([response.headers['x-request-id']]);
      expect(response.headers['x-request-id'] === given).toBe(kept);
    }
  });
});
