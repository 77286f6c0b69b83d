import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { commandFor, offerLauncher } from './launcher.mjs';

let home: string;
let bin: string;
let root: string;
let said: string[];

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "kiln it's "));
  bin = join(home, '.local', 'bin');
  root = join(home, 'check out');
  mkdirSync(bin, { recursive: true });
  mkdirSync(join(root, 'scripts'), { recursive: true });
  writeFileSync(join(root, 'scripts', 'kiln.mjs'), 'console.log(process.env.KILN_COMMAND, ...process.argv.slice(2));');
  said = [];
});
afterEach(() => rmSync(home, { recursive: true }));

const offer = (path = bin, more: object = {}) => offerLauncher((line: string) => said.push(line), { path, home, root, ...more });

describe('the launcher', () => {
  it('starts the checkout from anywhere, is announced, and says how to remove it', () => {
    offer();
    const file = join(bin, 'kiln');
    expect(said).toEqual([expect.stringMatching(/^made .*kiln, so that kiln works in every folder; to remove it: rm /)]);
    expect(statSync(file).mode & 0o777).toBe(0o755);
    expect(execFileSync(file, ['logs', 'a b'], { cwd: '/', encoding: 'utf8' })).toBe('kiln logs a b\n');
    expect(commandFor({ path: bin, folder: '/', root })).toBe('kiln');
    rmSync(root, { recursive: true });
    expect(spawnSync(file, [], { encoding: 'utf8' })).toMatchObject({ status: 1, stderr: expect.stringContaining('is gone') });
  });

  it('takes the place of no other program, wherever on PATH that is, and is made once', () => {
    const other = join(home, 'other');
    mkdirSync(other);
    writeFileSync(join(other, 'kiln'), '#!/bin/sh\n');
    offer([bin, other].join(delimiter));
    expect([said, commandFor({ path: other, folder: root, root })]).toEqual([[], 'npx kiln']);
    offer();
    const made = readFileSync(join(bin, 'kiln'), 'utf8');
    offer(bin, { root: join(home, 'another') });
    expect([said.length, readFileSync(join(bin, 'kiln'), 'utf8')]).toEqual([1, made]);
  });

  it('is not made where its folder is not on PATH, where nobody may write, or where it is refused', () => {
    offer('/usr/bin');
    offer(bin, { refused: true });
    if (process.getuid?.() !== 0) {
      chmodSync(bin, 0o555);
      offer();
      chmodSync(bin, 0o755);
    }
    expect(said).toEqual([]);
  });

  it('without it, hints are what works in the folder', () => {
    expect(commandFor({ path: bin, folder: join(root, 'examples'), root })).toBe('npx kiln');
    expect(commandFor({ path: bin, folder: '/', root: '/srv/kiln' })).toBe('node /srv/kiln/scripts/kiln.mjs');
  });
});
