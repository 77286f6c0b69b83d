import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemd } from './systemd.js';

const SLICE = 'kiln_build_t_1.slice';
const usual = process.env['PATH'];
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kiln-systemd-'));
  process.env['PATH'] = folder;
});
afterEach(() => {
  process.env['PATH'] = usual;
  rmSync(folder, { recursive: true });
});

/** A `systemctl` that writes down what it is asked. */
function systemctl(script: string): void {
  writeFileSync(join(folder, 'systemctl'), `#!/bin/sh\necho "$*" >> '${folder}/asked'\n${script}\n`);
  chmodSync(join(folder, 'systemctl'), 0o755);
}

it('is told of a slice’s limit until the machine restarts, and lets go of both, though it refuses and asks nobody', async () => {
  systemctl('exit 1');
  await systemd.limitTasks(SLICE, 77);
  await systemd.end(SLICE);
  expect(readFileSync(join(folder, 'asked'), 'utf8').split('\n')).toEqual([
    `--no-ask-password set-property --runtime ${SLICE} TasksMax=77`,
    `--no-ask-password stop ${SLICE}`,
    `--no-ask-password revert ${SLICE}`,
    '',
  ]);
});

it('holds no build up where it is not there, or does not answer', async () => {
  await systemd.limitTasks(SLICE, 77);
  systemctl('read -r word');
  const began = performance.now();
  await systemd.limitTasks(SLICE, 77);
  expect(performance.now() - began).toBeLessThan(20_000);
});
