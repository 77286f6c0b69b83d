import { type Answer, call } from '@kiln/testing/call';
import { describe, expect, it } from 'vitest';
import { colourOf, lookAt, widthOf } from '../support/browser.js';
import { example, startOf } from '../support/inside.js';
import { browser, cluster, itLives, urlOf, WAYS, type Way, withClusterAndBrowser } from './project.js';
import { PAGES } from './projects/web-apps.js';

const PAGE = { accept: 'text/html' };
withClusterAndBrowser();

function ask(
  way: Way,
  name: string,
  path = '/',
  options: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Answer> {
  const { port, hostname, pathname, search } = new URL(urlOf(way, name, path));
  return call(Number(port), pathname + search, { ...options, headers: { host: `${hostname}:${port}`, ...options.headers } });
}

itLives(PAGES);

describe.each(WAYS)('opened by %s', (way) => {
  it.each(['/', '/users/5'])('a page that Vite built shows, with all that belongs to it, at %s', async (path) => {
    await lookAt(browser, urlOf(way, 'vite', path), async ({ page, faults }) => {
      expect(await page.locator('h1').textContent()).toBe('Hello from Vite');
      expect(await colourOf(page, 'body')).toBe('rgb(12, 34, 56)');
      expect([await widthOf(page, '#logo'), await widthOf(page, '#icon')].every((width) => width > 0)).toBe(true);
      expect(await page.locator('#path').textContent()).toBe(new URL(urlOf(way, 'vite', path)).pathname);
      expect(faults).toEqual([]);
    });
  });

  it('a React app runs, and loads later what it needs later', async () => {
    await lookAt(browser, urlOf(way, 'react-app', '/some/place'), async ({ page, faults }) => {
      await page.getByRole('button').click();
      expect(await page.getByRole('button').textContent()).toBe('count is 1');
      await page.locator('#details').waitFor();
      expect(await colourOf(page, '#details')).toBe('rgb(4, 5, 6)');
      await page.getByText('7 lamps').waitFor();
      await page.getByRole('link', { name: 'the fifth' }).click();
      await page.getByRole('button').waitFor();
      expect(page.url()).toBe(urlOf(way, 'react-app', '/lamps/5'));
      expect(faults).toEqual([]);
    });
  });

  it('a folder of files is a site', async () => {
    await lookAt(browser, urlOf(way, 'site'), async ({ page, faults }) => {
      await page.getByRole('link', { name: 'About' }).click();
      await page.getByRole('heading', { name: 'About' }).waitFor();
      await page.getByRole('link', { name: 'Back' }).click();
      await page.getByRole('heading', { name: 'A folder of files' }).waitFor();
      expect(faults).toEqual([]);
    });
    const missing = await ask(way, 'site', '/missing');
    expect([missing.status, missing.text]).toEqual([404, expect.stringContaining('Nothing here')]);
    for (const path of ['/kiln.json', '/kiln-site.json', '/..%2fkiln-site.json']) expect((await ask(way, 'site', path)).status).toBe(404);
  });
});

describe('what a site sends', () => {
  it('is compressed, kept for ever where its name says so, and not sent twice', async () => {
    const page = await ask('host', 'vite', '/', { headers: { ...PAGE, 'accept-encoding': 'br' } });
    expect([page.headers['cache-control'], page.headers['content-type']]).toEqual(['no-cache', 'text/html; charset=utf-8']);
    const [, script] = /src="(\/assets\/[^"]+\.js)"/.exec((await ask('host', 'react-app')).text) ?? [];
    const first = await ask('host', 'react-app', script, { headers: { 'accept-encoding': 'gzip, br' } });
    expect(first.headers).toMatchObject({
      'content-encoding': 'br',
      vary: 'Accept-Encoding',
      'cache-control': 'public, max-age=31536000, immutable',
    });
    // By path it is another text, which names another root.
    for (const way of WAYS) {
      const headers = { 'accept-encoding': 'gzip' };
      const { etag } = (await ask(way, 'react-app', script, { headers })).headers;
      const again = await ask(way, 'react-app', script, { headers: { ...headers, 'if-none-match': String(etag) } });
      expect([again.status, again.body.length]).toEqual([304, 0]);
    }
    const part = await ask('host', 'react-app', script, { headers: { range: 'bytes=0-9' } });
    expect([part.status, part.body.length]).toEqual([206, 10]);
  });

  it('comes from an instance that starts as a function does, and answers many at a time', async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => ask('host', 'vite')));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(new Set(answers.map(({ headers }) => headers['x-kiln-instance'])).size).toBe(1);
    expect(answers.map(startOf)).not.toContain('cold');
  });

  it('is the files alone, and many requests are in hand at a time', async () => {
    const [site] = await cluster.versions('vite');
    expect([site?.kind, site?.config.entry, site?.config.concurrency]).toEqual(['runner', 'kiln-site.json', 100]);
  });
});

describe('a page that a browser has', () => {
  it('is the same one after the change was undone', async () => {
    const before = await ask('host', 'vite');
    await cluster.deploy(example('vite'), { name: 'vite', files: { 'src/main.js': "document.title = 'changed';\n" } });
    await cluster.client.rollback('vite');
    const after = await ask('host', 'vite', '/', { headers: { 'if-none-match': String(before.headers.etag) } });
    expect([after.status, after.headers['x-kiln-version']]).toEqual([304, '1']);
  });
});
