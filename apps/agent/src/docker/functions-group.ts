import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemctl } from '@kiln/engine/systemctl';
import { functionsGroup } from './container-options.js';
import type { EngineInfo } from './engine.js';

/**
 * Gives functions together twice the processor time of what starts and removes containers, where both want it: measured with six
 * functions that start beside three that serve, once and eight times as much both made calls slower. Where this process may not (an
 * agent in a container, an engine elsewhere) functions share as everybody.
 */
export async function favourFunctions({ cgroupDriver, cgroupVersion }: EngineInfo, cgroups = '/sys/fs/cgroup'): Promise<void> {
  const group = functionsGroup(cgroupDriver);
  if (cgroupDriver === 'systemd') return systemctl('set-property', '--runtime', group, 'CPUWeight=200');
  const [file, value] = cgroupVersion === '1' ? ['cpu/faas/cpu.shares', '2048'] : ['faas/cpu.weight', '200'];
  const path = join(cgroups, file);
  // Not recursive: a hierarchy that is not there is not to be made.
  await mkdir(join(path, '..')).catch(() => undefined);
  await writeFile(path, value, { flag: 'r+' }).catch(() => undefined);
}
