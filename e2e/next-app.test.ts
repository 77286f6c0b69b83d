import { type Cluster, startCluster } from '@kiln/testing/cluster';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openPage, startBrowser, widthOf } from './browser.js';
import { fixture } from './inside.js';

const CONFIG = 'export default { basePath: process.env.BASE_PATH };\n';

/** Over 100 MB to fetch and a minute of all cores to build: not part of every run. */
const WANTED = process.env['KILN_TEST_NEXT'] === '1';
const BUILDS_MS = 900_000;

let cluster: Cluster;
let browser: Browser;

async function deployBoth(): Promise<void> {
  [cluster, browser] = await Promise.all([startCluster(), startBrowser()]);
  await cluster.deploy(fixture('next-app'), { name: 'next-app' });
  await cluster.deploy(fixture('next-app'), { name: 'next-path', files: { 'next.config.mjs': CONFIG } });
}

const byHost = (name: string) => `http://${name}.localhost:${cluster.router.ports.data}/`;
const byPath = (name: string) => `http://localhost:${cluster.router.ports.data}/fn/${name}/`;

describe.runIf(WANTED)('a Next.js app', () => {
  beforeAll(deployBoth, BUILDS_MS);
  afterAll(async () => {
    await browser?.close();
    await cluster?.stop();
  });

  it.each([
    ['by host', () => byHost('next-app')],
    ['by path', () => byPath('next-app')],
    ['made for its path, by path', () => byPath('next-path')],
    ['made for its path, by host', () => byHost('next-path')],
  ])('opens and runs %s', async (_way, url) => {
    const { page } = await openPage(browser, url());
    expect(await page.locator('h1').textContent()).toBe('Hello from Next');
    expect(await widthOf(page, '#logo')).toBeGreaterThan(0);
    await page.getByRole('button').click();
    await page.getByRole('button', { name: 'count is 1' }).waitFor();
  });

  it.each([
    ['by host', () => byHost('next-app')],
    ['made for its path, by path', () => byPath('next-path')],
    ['made for its path, by host', () => byHost('next-path')],
  ])('goes to its other pages %s', async (_way, url) => {
    const { page, faults } = await openPage(browser, url());
    await page.locator('#about').click();
    await page.getByRole('heading', { name: 'About Next' }).waitFor();
    expect(faults).toEqual([]);
  });
});
