import { type Answer, call } from '@kiln/testing/call';
import { type Cluster, startCluster } from '@kiln/testing/cluster';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { colourOf, openPage, startBrowser, widthOf } from './browser.js';
import { example, fixture, startOf } from './inside.js';

const PAGE = { accept: 'text/html' };
/** With the install of a browser, where there is none. */
const SET_UP_MS = 500_000;

let cluster: Cluster;
let browser: Browser;

beforeAll(async () => {
  [cluster, browser] = await Promise.all([startCluster(), startBrowser()]);
  await Promise.all([
    cluster.deploy(example('site'), { name: 'site' }),
    cluster.deploy(example('vite'), { name: 'vite' }),
    cluster.deploy(fixture('react-app'), { name: 'react-app' }),
    cluster.deploy(fixture('express-server'), { name: 'express-server' }),
    cluster.deploy(fixture('hono-server'), { name: 'hono-server' }),
  ]);
}, SET_UP_MS);
afterAll(async () => {
  await browser?.close();
  await cluster?.stop();
});

/** The two ways to a function: a path of the platform's host, and a host of its own. */
const WAYS = ['path', 'host'] as const;
type Way = (typeof WAYS)[number];

const urlOf = (way: Way, name: string, path = '/') =>
  way === 'path'
    ? `http://localhost:${cluster.router.ports.data}/fn/${name}${path}`
    : `http://${name}.localhost:${cluster.router.ports.data}${path}`;

function ask(
  way: Way,
  name: string,
  path = '/',
  options: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Answer> {
  const { port, hostname, pathname, search } = new URL(urlOf(way, name, path));
  return call(Number(port), pathname + search, { ...options, headers: { host: `${hostname}:${port}`, ...options.headers } });
}

describe.each(WAYS)('opened by %s', (way) => {
  it.each(['/', '/users/5'])('a page that Vite built shows, with all that belongs to it, at %s', async (path) => {
    const { page, faults } = await openPage(browser, urlOf(way, 'vite', path));
    expect(await page.locator('h1').textContent()).toBe('Hello from Vite');
    expect(await colourOf(page, 'body')).toBe('rgb(12, 34, 56)');
    expect([await widthOf(page, '#logo'), await widthOf(page, '#icon')].every((width) => width > 0)).toBe(true);
    expect(await page.locator('#path').textContent()).toBe(new URL(urlOf(way, 'vite', path)).pathname);
    expect(faults).toEqual([]);
  });

  it('a React app runs, and loads later what it needs later', async () => {
    const { page, faults } = await openPage(browser, urlOf(way, 'react-app', '/some/place'));
    await page.getByRole('button').click();
    expect(await page.getByRole('button').textContent()).toBe('count is 1');
    await page.locator('#details').waitFor();
    expect(await colourOf(page, '#details')).toBe('rgb(4, 5, 6)');
    expect(faults).toEqual([]);
  });

  it('a folder of files is a site', async () => {
    const { page, faults } = await openPage(browser, urlOf(way, 'site'));
    await page.getByRole('link', { name: 'About' }).click();
    await page.getByRole('heading', { name: 'About' }).waitFor();
    await page.getByRole('link', { name: 'Back' }).click();
    await page.getByRole('heading', { name: 'A folder of files' }).waitFor();
    expect(faults).toEqual([]);
    const missing = await ask(way, 'site', '/missing');
    expect([missing.status, missing.text]).toEqual([404, expect.stringContaining('Nothing here')]);
    for (const path of ['/kiln.json', '/kiln-site.json', '/..%2fkiln-site.json']) expect((await ask(way, 'site', path)).status).toBe(404);
  });

  it('a server that listens for itself answers', async () => {
    expect((await ask(way, 'express-server')).text).toBe('<h1>Express</h1>');
    const echoed = await ask(way, 'express-server', '/echo', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"a":1}',
    });
    expect(echoed.json()).toEqual({ body: { a: 1 }, prefix: way === 'path' ? '/fn/express-server' : null, env: 'production' });
    expect((await ask(way, 'hono-server')).text).toBe('Hello Hono!');
  });
});

describe('what a site sends', () => {
  it('is compressed, kept for ever where its name says so, and not sent twice', async () => {
    const page = await ask('host', 'vite', '/', { headers: { ...PAGE, 'accept-encoding': 'br' } });
    expect([page.headers['cache-control'], page.headers['content-type']]).toEqual(['no-cache', 'text/html; charset=utf-8']);
    const [, script] = /src="\.(\/assets\/[^"]+\.js)"/.exec((await ask('host', 'react-app')).text) ?? [];
    const first = await ask('host', 'react-app', script, { headers: { 'accept-encoding': 'gzip, br' } });
    expect(first.headers).toMatchObject({
      'content-encoding': 'br',
      vary: 'Accept-Encoding',
      'cache-control': 'public, max-age=31536000, immutable',
    });
    const again = await ask('path', 'react-app', script, {
      headers: { 'accept-encoding': 'br', 'if-none-match': String(first.headers.etag) },
    });
    expect([again.status, again.body.length]).toEqual([304, 0]);
    const part = await ask('path', 'react-app', script, { headers: { range: 'bytes=0-9' } });
    expect([part.status, part.body.length]).toEqual([206, 10]);
  });

  it('comes from an instance that starts as a function does, and answers many at a time', async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => ask('host', 'vite')));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(new Set(answers.map(({ headers }) => headers['x-kiln-instance'])).size).toBe(1);
    expect(answers.map(startOf)).not.toContain('cold');
  });

  it('is what was built of the sources, without what built it', async () => {
    expect((await ask('host', 'hono-server', '/tools')).json()).toEqual({ typescript: false });
    const [version] = await cluster.versions('hono-server');
    expect([version?.kind, version?.config.port]).toEqual(['http', 3000]);
    const [site] = await cluster.versions('vite');
    expect([site?.kind, site?.config.entry, site?.config.concurrency]).toEqual(['runner', 'kiln-site.json', 100]);
  });
});

describe('a changed page', () => {
  it('is there when its deployment is done, and gone when that is undone', async () => {
    const before = await ask('host', 'vite');
    const main = "document.querySelector('#app').innerHTML = '<h1>Hello again</h1>';";
    expect((await cluster.deploy(example('vite'), { name: 'vite', files: { 'src/main.js': main } })).version).toBe(2);
    for (const way of WAYS) {
      const { page, faults } = await openPage(browser, urlOf(way, 'vite'));
      expect(await page.locator('h1').textContent()).toBe('Hello again');
      expect(faults).toEqual([]);
    }
    expect((await cluster.api('POST', '/v1/functions/vite/rollback', {})).status).toBe(200);
    const after = await ask('host', 'vite', '/', { headers: { 'if-none-match': String(before.headers.etag) } });
    expect([after.status, after.headers['x-kiln-version']]).toEqual([304, '1']);
  });
});
