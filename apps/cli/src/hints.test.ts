import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { readConfig } from './config.js';
import { asInvoked } from './hints.js';
import { Terminal } from './output/terminal.js';
import { createProgram } from './program.js';

const terminal = (() => {
  const { signal } = new AbortController();
  const streams = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() };
  return new Terminal({ ...streams, interrupted: signal, insisted: signal });
})();
createProgram({ config: readConfig({}), terminal });

describe('hints', () => {
  it.each([
    ['next: kiln init hello && kiln deploy hello', 'next: npx kiln init hello && npx kiln deploy hello'],
    ['start it with `kiln up`, or set KILN_URL', 'start it with `npx kiln up`, or set KILN_URL'],
    ['KILN_HTTP_PORT=9080 kiln up', 'KILN_HTTP_PORT=9080 npx kiln up'],
    ['… | kiln secrets set TOKEN -', '… | npx kiln secrets set TOKEN -'],
    ['see how it is used: kiln --help', 'see how it is used: npx kiln --help'],
    ['git push kiln main', 'git push kiln main'],
    [
      'kiln: the code of kiln.json and kiln-runner, a kiln of bricks, /srv/kiln up',
      'kiln: the code of kiln.json and kiln-runner, a kiln of bricks, /srv/kiln up',
    ],
  ])('%s', (text, typed) => {
    expect(asInvoked(text, 'npx kiln', terminal.commands)).toBe(typed);
    expect(asInvoked(text, 'kiln', terminal.commands)).toBe(text);
  });
});
