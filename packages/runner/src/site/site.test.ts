import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import http, { type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { loadExports } from '../load/load.js';
import { createListener, createServer } from '../server.js';
import { isHashedName, makeSite } from './make-site.js';
import { SITE_LIST } from './site-list.js';

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

const SCRIPT = 'console.log("a line that repeats itself");\n'.repeat(100);
const PAGE = '<html><head><script type="module" src="./assets/index-BQ3x_1aZ.js"></script><link href="./icon.svg"></head></html>';
const FILES = {
  'index.html': PAGE,
  'assets/index-BQ3x_1aZ.js': SCRIPT,
  'big.txt': SCRIPT,
  'docs/index.html': 'docs',
  'about.html': 'about',
};

interface Got {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}
type Get = (path: string, headers?: Record<string, string>, method?: string) => Promise<Got>;

function folder(files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), 'kiln-site-'));
  ends.push(() => rmSync(root, { recursive: true }));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  return root;
}

/** A site made and served as in an instance; the path goes out as it is given. */
async function site(
  files: Record<string, string>,
  options: { app?: boolean; base?: string; change?(root: string): void } = {},
): Promise<Get> {
  const source = folder(files);
  options.change?.(source);
  const target = folder({});
  await makeSite({ source, target, app: options.app ?? false, copied: undefined, base: options.base });
  const [exported] = await loadExports(join(target, SITE_LIST));
  const listener = await createListener(exported!, () => undefined);
  const server = createServer(() => ({ target: exported!, listener }));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ends.push(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return (path, headers = {}, method = 'GET') => get(port, path, headers, method);
}

async function get(port: number, path: string, headers: Record<string, string>, method: string): Promise<Got> {
  const request = http.request({ host: '127.0.0.1', port, path, method, headers, agent: false }).end();
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) };
}

describe('a site', () => {
  it('sends files with their types, and pages to be asked for again', async () => {
    const get = await site({
      ...FILES,
      'a.css': 'a{}',
      'pic.png': 'x',
      'data.unknown': 'x',
      'umläut ü.json': '{}',
      '.well-known/x.txt': 'w',
    });
    const types = { '/': 'text/html', '/a.css': 'text/css', '/pic.png': 'image/png', '/data.unknown': 'application/octet-stream' };
    for (const [path, type] of Object.entries(types)) {
      const { status, headers } = await get(path);
      expect([path, status, headers['content-type']?.split(';')[0]]).toEqual([path, 200, type]);
      expect([headers['cache-control'], headers['x-content-type-options']]).toEqual(['no-cache', 'nosniff']);
    }
    expect((await get('/uml%C3%A4ut%20%C3%BC.json')).body.toString()).toBe('{}');
    expect((await get('/.well-known/x.txt')).body.toString()).toBe('w');
    expect((await get('/?x=/a.css')).body.toString()).toBe(PAGE);
  });

  it('lets what has a hash in its name be kept for ever', async () => {
    const get = await site(FILES);
    expect((await get('/assets/index-BQ3x_1aZ.js')).headers['cache-control']).toBe('public, max-age=31536000, immutable');
    expect((await get('/assets/index-BQ3x_1aZ.js')).headers['content-type']).toMatch(/^text\/javascript/);
  });

  it('sends what was compressed at build to those who take it', async () => {
    const get = await site(FILES);
    const plain = await get('/big.txt');
    expect([plain.headers['content-encoding'], plain.headers.vary, plain.body.toString()]).toEqual([undefined, 'Accept-Encoding', SCRIPT]);
    const brotli = await get('/big.txt', { 'accept-encoding': 'gzip, deflate, br' });
    expect([brotli.headers['content-encoding'], brotliDecompressSync(brotli.body).toString()]).toEqual(['br', SCRIPT]);
    const gzip = await get('/big.txt', { 'accept-encoding': 'gzip, br;q=0' });
    expect([gzip.headers['content-encoding'], gunzipSync(gzip.body).toString()]).toEqual(['gzip', SCRIPT]);
    expect(Number(gzip.headers['content-length'])).toBe(gzip.body.length);
    expect(new Set([plain, brotli, gzip].map(({ headers }) => headers.etag)).size).toBe(3);
    expect((await get('/docs/', { 'accept-encoding': 'br' })).headers.vary).toBeUndefined();
  });

  it('does not send again what the caller has', async () => {
    const get = await site(FILES);
    const { etag } = (await get('/big.txt', { 'accept-encoding': 'br' })).headers;
    const again = await get('/big.txt', { 'accept-encoding': 'br', 'if-none-match': `"other", ${etag}` });
    expect([again.status, again.body.length, again.headers.etag]).toEqual([304, 0, etag]);
    expect((await get('/big.txt', { 'if-none-match': etag! })).status).toBe(200);
    const equal = await site({ ...FILES, 'index.html': 'another page' });
    expect((await equal('/big.txt', { 'accept-encoding': 'br' })).headers.etag).toBe(etag);
    const changed = await site({ ...FILES, 'big.txt': SCRIPT.replace('line', 'LINE') });
    expect((await changed('/big.txt', { 'accept-encoding': 'br' })).headers.etag).not.toBe(etag);
  });

  it('sends parts of a file', async () => {
    const get = await site(FILES);
    const part = await get('/big.txt', { range: 'bytes=8-11', 'accept-encoding': 'br' });
    expect([part.status, part.headers['content-range'], part.body.toString()]).toEqual([206, `bytes 8-11/${SCRIPT.length}`, 'log(']);
    expect((await get('/big.txt', { range: 'bytes=-3' })).body.toString()).toBe(SCRIPT.slice(-3));
    const behind = await get('/big.txt', { range: 'bytes=999999-' });
    expect([behind.status, behind.headers['content-range']]).toEqual([416, `bytes */${SCRIPT.length}`]);
    expect((await get('/big.txt', { 'if-match': '"other"' })).status).toBe(412);
    const whole = await get('/big.txt', { range: 'bytes=0-3', 'if-range': '"older"' });
    expect([whole.status, whole.body.length]).toEqual([200, SCRIPT.length]);
    expect((await get('/big.txt', { range: 'bytes=0-3', 'if-range': String(part.headers.etag) })).status).toBe(206);
  });

  it('answers HEAD with the head alone, and no other method', async () => {
    const get = await site(FILES);
    const head = await get('/big.txt', {}, 'HEAD');
    expect([head.status, head.headers['content-length'], head.body.length]).toEqual([200, String(SCRIPT.length), 0]);
    const post = await get('/big.txt', {}, 'POST');
    expect([post.status, post.headers.allow]).toEqual([405, 'GET, HEAD']);
  });

  it('finds a folder’s page and a page without its ending, and sends to the folder’s own form by a relative way', async () => {
    const get = await site(FILES);
    expect((await get('/docs/')).body.toString()).toBe('docs');
    expect((await get('/about')).body.toString()).toBe('about');
    const folder = await get('/docs?a=1');
    expect([folder.status, folder.headers.location]).toEqual([307, './docs/?a=1']);
    expect((await get('//docs')).status).toBe(404);
  });

  it('says that a page is missing by the site’s own page', async () => {
    const plain = await (await site(FILES))('/missing', { accept: 'text/html' });
    expect([plain.status, plain.headers['content-type']]).toEqual([404, 'text/plain; charset=utf-8']);
    const own = await (await site({ ...FILES, '404.html': 'nothing here' }))('/missing', { range: 'bytes=0-1' });
    expect([own.status, own.body.toString()]).toEqual([404, 'nothing here']);
  });

  it('serves nothing but the files that were public when it was made', async () => {
    const outside = folder({ secret: 'secret' });
    const get = await site(
      { ...FILES, '.env': 'secret', 'kiln.json': '{}', '.git/config': 'secret', 'a/.htpasswd': 'secret' },
      {
        change(root) {
          symlinkSync(join(outside, 'secret'), join(root, 'link.txt'));
          symlinkSync(outside, join(root, 'linked'));
        },
      },
    );
    const paths = ['/.env', '/kiln.json', '/.git/config', '/a/.htpasswd', '/link.txt', '/linked/secret', `/${SITE_LIST}`];
    const ways = [
      '/../kiln-site.json',
      '/..%2fkiln-site.json',
      '/docs/../big.txt',
      '/%2e%2e/big.txt',
      '/docs%00',
      '/%',
      '/__proto__',
      '/plain/big.txt',
    ];
    for (const path of [...paths, ...ways]) expect([path, (await get(path)).status]).toEqual([path, 404]);
  });

  it('is refused without an index.html', async () => {
    await expect(
      makeSite({ source: folder({ 'a.txt': '' }), target: folder({}), app: false, copied: undefined, base: undefined }),
    ).rejects.toThrow(/no index\.html/);
  });
});

describe('an app', () => {
  const page = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };

  it('answers a path that only its own code knows with its page', async () => {
    const get = await site(FILES, { app: true });
    for (const path of ['/users', '/users/', '/users/5/edit', '/users/john.doe', '/a%20b'])
      expect([path, (await get(path, page)).status]).toEqual([path, 200]);
    for (const path of ['/users', '/users/5/edit']) expect((await get(path, page)).body.toString()).toBe(PAGE);
  });

  it('names its root by the prefix of a request by path, and not at all by host, however deep it is asked for', async () => {
    const texts = {
      'index.html': '<script src="/BASE/assets/a.js"></script>',
      'assets/a.js': `fetch("/BASE/stock.json"); // ü, ${'x'.repeat(2000)}`,
      'logo.png': '/BASE/',
    };
    const get = await site(texts, { app: true, base: '/BASE' });
    for (const path of ['/', '/lamps/5', '/lamps/5/']) {
      expect((await get(path, page)).body.toString()).toBe('<script src="/assets/a.js"></script>');
      const byPath = await get(path, { ...page, 'x-forwarded-prefix': '/fn/stock@3' });
      expect([byPath.body.toString(), byPath.headers['cache-control']]).toEqual([
        '<script src="/fn/stock@3/assets/a.js"></script>',
        'no-cache',
      ]);
    }
    const byPath = { 'x-forwarded-prefix': '/fn/stock', 'accept-encoding': 'gzip, br' };
    const script = await get('/assets/a.js', byPath);
    expect(gunzipSync(script.body).toString()).toBe(texts['assets/a.js'].replace('/BASE', '/fn/stock'));
    expect([script.headers['content-type'], script.headers.vary]).toEqual(['text/javascript; charset=utf-8', 'Accept-Encoding']);
    const again = await get('/assets/a.js', { ...byPath, 'if-none-match': String(script.headers.etag) });
    expect([again.status, again.body.length]).toEqual([304, 0]);
    const head = await get('/assets/a.js', byPath, 'HEAD');
    expect([head.headers['content-length'], head.body.length]).toEqual([String(script.body.length), 0]);
    expect((await get('/assets/a.js', { 'accept-encoding': 'br' })).headers.etag).not.toBe(script.headers.etag);
    expect((await get('/logo.png', byPath)).body.toString()).toBe('/BASE/');
    expect((await get('/based/assets/a.js')).status).toBe(404);
  });

  it('takes no prefix that is none', async () => {
    const get = await site({ 'index.html': '<a href="/BASE/x">' }, { app: true, base: '/BASE' });
    for (const prefix of ['https://evil.example', '/fn/"><script>', '//evil.example', 'x'])
      expect((await get('/', { 'x-forwarded-prefix': prefix })).body.toString()).toBe('<a href="/x">');
  });

  it('does not pass a page off as a missing script, picture or answer', async () => {
    const get = await site(FILES, { app: true });
    expect((await get('/assets/old-BQ3x_1aZ.js', page)).status).toBe(404);
    expect((await get('/pic.png', { accept: 'image/*,*/*' })).status).toBe(404);
    expect((await get('/api/users', { accept: 'application/json' })).status).toBe(404);
    expect((await get('/users', { ...page, 'sec-fetch-mode': 'cors' })).status).toBe(404);
    expect((await get('/users', { accept: '*/*', 'sec-fetch-mode': 'navigate' })).status).toBe(200);
  });
});

describe('isHashedName', () => {
  it.each([
    'index-BQ3x_1aZ.js',
    'index-DiwrgTda.css',
    'main.1a2b3c4d.js',
    'main.1a2b3c4d.chunk.js',
    'a-0123456789abcdef0123.woff2',
    'index-BQ3x_1aZ.js.map',
    '_next/static/chunks/framework.js',
  ])('sees one in %s', (name) => expect(isHashedName(name)).toBe(true));

  it.each([
    'index.html',
    'logo-original.png',
    'photo-20240101.jpg',
    'icon-1024x768.png',
    'jquery.min.js',
    'vendor-bootstrap.js',
    'logo-Original.png',
  ])('sees none in %s', (name) => expect(isHashedName(name)).toBe(false));
});
