import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { openEngine, sweep } from '../engine.js';
import type { Terminal } from '../output/terminal.js';

export interface Leftovers {
  home: string;
  dockerHost: string;
  /** Nodes without a running agent. */
  nodeIds: readonly string[];
}

/** Removes what killed agents left: containers and networks on the engine, sockets under the home. Prints an error and goes on. */
export async function removeLeftovers({ home, dockerHost, nodeIds }: Leftovers, terminal: Terminal) {
  let swept = { containers: 0, networks: 0 };
  try {
    swept = await sweep(await openEngine(dockerHost), nodeIds);
    await Promise.all(nodeIds.map((id) => rm(join(home, 'run', id), { recursive: true, force: true })));
  } catch (error) {
    terminal.sayProse(`could not remove everything that a killed agent left: ${(error as Error).message}; the next kiln up tries again`);
  }
  const { containers, networks } = swept;
  if (containers + networks > 0) terminal.sayProse(`removed leftovers on the engine: ${containers} containers, ${networks} networks`);
  return swept;
}
