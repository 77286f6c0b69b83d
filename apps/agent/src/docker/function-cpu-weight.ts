import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemctl } from '@kiln/engine/systemctl';
import { functionsCgroup } from './container-options.js';
import type { EngineInfo } from './engine.js';

/**
 * Gives all functions together twice the CPU weight of what starts and removes containers: with the same, and with eight times as much,
 * calls were slower. Does nothing where this process can't write control groups: in a container, or with an engine elsewhere.
 */
export async function raiseFunctionWeight({ cgroupDriver, cgroupVersion }: EngineInfo, cgroups = '/sys/fs/cgroup'): Promise<void> {
  const group = functionsCgroup(cgroupDriver);
  if (cgroupDriver === 'systemd') return systemctl('set-property', '--runtime', group, 'CPUWeight=200');
  const [file, value] = cgroupVersion === '1' ? ['cpu/faas/cpu.shares', '2048'] : ['faas/cpu.weight', '200'];
  const path = join(cgroups, file);
  // Not recursive: must not make a cgroup hierarchy that the machine does not have.
  await mkdir(join(path, '..')).catch(() => undefined);
  await writeFile(path, value, { flag: 'r+' }).catch(() => undefined);
}
