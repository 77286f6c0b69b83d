import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { raiseFunctionWeight } from './function-cpu-weight.js';

let folder: string;
const path = process.env['PATH'];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kiln-group-'));
});
afterEach(() => {
  process.env['PATH'] = path;
  rmSync(folder, { recursive: true, force: true });
});

describe('the group of all functions has twice the processor time of others', () => {
  it.each([
    ['1', 'cpu/faas/cpu.shares', '2048'],
    ['2', 'faas/cpu.weight', '200'],
  ])('by version %s of control groups', async (cgroupVersion, file, value) => {
    // As the kernel makes it, the group has its files at once.
    mkdirSync(join(folder, file, '..'), { recursive: true });
    writeFileSync(join(folder, file), '1024');
    await raiseFunctionWeight({ cgroupDriver: 'cgroupfs', cgroupVersion }, folder);
    expect(readFileSync(join(folder, file), 'utf8').slice(0, value.length)).toBe(value);
  });

  it('by systemd, which writes the limits of its own units', async () => {
    writeFileSync(join(folder, 'systemctl'), `#!/bin/sh\necho "$@" > '${folder}/asked'\n`);
    chmodSync(join(folder, 'systemctl'), 0o755);
    process.env['PATH'] = `${folder}:${path}`;
    await raiseFunctionWeight({ cgroupDriver: 'systemd', cgroupVersion: '2' }, folder);
    expect(readFileSync(join(folder, 'asked'), 'utf8')).toBe('--no-ask-password set-property --runtime faas.slice CPUWeight=200\n');
  });

  it('and nothing is made, and nothing fails, where there are no control groups to write', async () => {
    await raiseFunctionWeight({ cgroupDriver: 'cgroupfs', cgroupVersion: '1' }, join(folder, 'none'));
    process.env['PATH'] = folder;
    await raiseFunctionWeight({ cgroupDriver: 'systemd', cgroupVersion: '2' }, folder);
    expect(existsSync(join(folder, 'none'))).toBe(false);
  });

  it.runIf(process.getuid?.() === 0 && existsSync('/sys/fs/cgroup/cpu/cgroup.procs'))('on this machine', async () => {
    await raiseFunctionWeight({ cgroupDriver: 'cgroupfs', cgroupVersion: '1' });
    expect(readFileSync('/sys/fs/cgroup/cpu/faas/cpu.shares', 'utf8').trim()).toBe('2048');
  });
});
