import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkGit } from './check-git.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kiln-git-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const check = (PATH: string | undefined, more: object = {}) => checkGit({ inherited: { PATH, ...more } });

describe('checkGit', () => {
  it("finds this machine's git and its http-backend", async () => {
    expect(await check(process.env['PATH'])).toEqual({
      name: 'git',
      state: 'ok',
      detail: expect.stringMatching(/^\d+\.\d+.*http-backend/),
    });
  });

  it('says what to install where there is none', async () => {
    expect(await check(folder)).toMatchObject({
      state: 'warning',
      detail: expect.stringContaining('no git'),
      fix: expect.stringContaining('apt-get install git'),
    });
  });

  it('says what to install where the http-backend is missing, as in a package of git alone', async () => {
    writeFileSync(join(folder, 'git'), `#!/bin/sh\ncase "$*" in *--exec-path) echo ${folder} ;; *) echo git version 2.0 ;; esac\n`);
    chmodSync(join(folder, 'git'), 0o755);
    expect(await check(folder)).toMatchObject({
      state: 'warning',
      detail: expect.stringContaining(`${folder}/git-http-backend`),
      fix: expect.stringContaining('git-daemon'),
    });
  });
});
