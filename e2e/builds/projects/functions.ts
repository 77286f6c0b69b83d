import { expect } from 'vitest';
import { colourOf } from '../../support/browser.js';
import { example, fixture } from '../../support/inside.js';
import { changed, type RealProject } from '../project.js';

/** Folders that the runner serves; a function of several exports is the one that has its name. */
export const FUNCTIONS: RealProject[] = [
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
    nightly: true,
    evidence: /found the module index\.js/,
    shows: /^plain \/$/,
    files: changed(fixture('many-exports'), 'index.js', '`plain', '`changed'),
    showsThen: /^changed \/$/,
  },
  {
    name: 'configured',
    folder: fixture('many-exports'),
    nightly: true,
    evidence: /found the module index\.js/,
    shows: /"configured":true/,
    files: changed(fixture('many-exports'), 'index.js', 'configured: true', 'configured: false'),
    showsThen: /"configured":false/,
  },
  {
    name: 'esm-function',
    folder: fixture('esm-function'),
    nightly: true,
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
    nightly: true,
    evidence: /found the module index\.ts: bundling it as index\.cjs/,
    shows: /Hello from TypeScript/,
    files: changed(fixture('typescript-functions'), 'lib/greeting.ts', 'Hello', 'Bye bye'),
    showsThen: /Bye bye from TypeScript/,
  },
];
