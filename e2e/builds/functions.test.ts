import { describe, expect, it } from 'vitest';
import { colourOf } from '../support/browser.js';
import { example, fixture } from '../support/inside.js';
import { changed, cluster, itLives, type Project, withClusterAndBrowser } from '../support/project.js';

withClusterAndBrowser();

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

itLives(FUNCTIONS);

describe('one module of several functions', () => {
  it('is each of them, with the configuration that stands beside its code', async () => {
    await cluster.deploy(fixture('typescript-functions'), { name: 'longer' });
    expect((await cluster.call('/fn/longer/')).json()).toEqual({ ms: 172_800_000 });
    expect((await cluster.versions('longer'))[0]?.config).toMatchObject({ handler: 'longer', timeout: 9_000 });
    await cluster.deploy(fixture('many-exports'), { name: 'other', config: { handler: 'defined' } });
    expect((await cluster.call('/fn/other/')).text).toBe('defined');
  });
});
