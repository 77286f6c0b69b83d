import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { ControlApi, KEY, kiln, type Ran, type RunOptions } from './control-api.fixture.js';

/** Of the test that runs: a control API of its own, and an empty folder. */
export let api: ControlApi;
export let root: string;

/** Gives each test of the file an `api` and a `root`. */
export function withControlApi(): void {
  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), 'kiln-cli-'));
    api = new ControlApi();
    await api.listen();
  });
  afterEach(async () => {
    await api.close();
    rmSync(root, { recursive: true, force: true });
  });
}

/** The command line with a key of that API, and the folder for its home. */
export function connected(args: string[], options: RunOptions = {}): Promise<Ran> {
  return kiln(args, { ...options, env: { KILN_HOME: root, KILN_URL: api.url, KILN_API_KEY: KEY } });
}
