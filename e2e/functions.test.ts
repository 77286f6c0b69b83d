import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster } from '@kiln/testing/cluster';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { colourOf } from './browser.js';
import { example, fixture } from './inside.js';
import { liveThrough, type Project, startBoth } from './project.js';

/** With the install of a browser, where there is none. */
const SET_UP_MS = 500_000;
const LIVE_MS = 400_000;

let cluster: Cluster;
let browser: Browser;

beforeAll(async () => {
  [cluster, browser] = await startBoth();
}, SET_UP_MS);
afterAll(async () => {
  await browser?.close();
  await cluster?.stop();
});

const changed = (folder: string, file: string, from: string, to: string) => ({
  [file]: readFileSync(join(folder, file), 'utf8').replace(from, to),
});

/** Folders that the runner serves; a function of several exports is the one that has its name. */
const FUNCTIONS: Project[] = [
  {
    name: 'hello',
    folder: example('hello'),
    evidence: /found the module index\.js/,
    shows: /"message":"Hello, world!"/,
    files: changed(example('hello'), 'index.js', 'Hello', 'Bye bye'),
    showsThen: /"message":"Bye bye, world!"/,
  },
  {
    name: 'plain',
    folder: fixture('many-exports'),
    evidence: /found the module index\.js/,
    shows: /^plain \/$/,
    files: changed(fixture('many-exports'), 'index.js', '`plain', '`changed'),
    showsThen: /^changed \/$/,
  },
  {
    name: 'configured',
    folder: fixture('many-exports'),
    evidence: /found the module index\.js/,
    shows: /"configured":true/,
    files: changed(fixture('many-exports'), 'index.js', 'configured: true', 'configured: false'),
    showsThen: /"configured":false/,
  },
  {
    name: 'esm-function',
    folder: fixture('esm-function'),
    evidence: /found the module index\.js/,
    shows: /Hello from a module/,
    assets: [/\/style\.css$/],
    look: async (page) => expect(await colourOf(page, 'h1')).toBe('rgb(51, 52, 53)'),
    files: changed(fixture('esm-function'), 'lib/page.js', 'Hello', 'Bye bye'),
    showsThen: /Bye bye from a module/,
  },
  {
    name: 'page',
    folder: fixture('typescript-functions'),
    evidence: /found the module index\.ts: bundling it as index\.cjs/,
    shows: /Hello from TypeScript/,
    files: changed(fixture('typescript-functions'), 'lib/greeting.ts', 'Hello', 'Bye bye'),
    showsThen: /Bye bye from TypeScript/,
  },
];

describe.concurrent.each(FUNCTIONS)('$name', (project) => {
  it(
    'is deployed, shows in a browser, is deployed again with a change, and rolled back',
    () => liveThrough(cluster, browser, project),
    LIVE_MS,
  );
});

describe('one module of several functions', () => {
  it('is each of them, with the configuration that stands beside its code', async () => {
    await cluster.deploy(fixture('typescript-functions'), { name: 'longer' });
    expect((await cluster.call('/fn/longer/')).json()).toEqual({ ms: 172_800_000 });
    expect((await cluster.versions('longer'))[0]?.config).toMatchObject({ handler: 'longer', timeout: 9_000 });
    await cluster.deploy(fixture('many-exports'), { name: 'other', config: { handler: 'defined' } });
    expect((await cluster.call('/fn/other/')).text).toBe('defined');
  });
});
