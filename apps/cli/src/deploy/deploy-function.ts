import type { KilnClient } from '@kiln/client/client';
import type { Deployed } from '@kiln/contract/control-api';
import { type Told, tell } from '../failure.js';
import { checkBuildable } from '../folder/check-buildable.js';
import { type FolderFile, listFiles } from '../folder/list-files.js';
import { packFiles } from '../folder/pack.js';
import { type Project, readProject } from '../folder/project.js';

/** A folder that was found fit to be sent. */
export interface Ready {
  project: Project;
  files: FolderFile[];
}

interface Failed {
  function: string;
  error: Told;
}

export type Outcome = Deployed | Failed;

/**
 * Everything that can be found wrong with a folder is found here, before anything is sent.
 * @throws Failure or KilnError
 */
export async function prepare(path: string, name?: string): Promise<Ready> {
  const project = await readProject(path, name);
  const files = await listFiles(project.folder);
  await checkBuildable(project, files);
  return { project, files };
}

/** Sends the folder for each function that it declares, one after the other; a failure of one does not stop the next. */
export async function deployAll(
  { project, files }: Ready,
  client: KilnClient,
  say: (line: string) => void,
  message?: string,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const replaced = new Map(project.kilnJson === undefined ? [] : [['kiln.json', project.kilnJson] as const]);
  for (const { name } of project.functions) {
    const started = performance.now();
    const progress = (line: string) => say(`${name} +${((performance.now() - started) / 1000).toFixed(1)}s  ${line}`);
    progress(`sending ${files.length} files`);
    outcomes.push(
      await attempt(name, () => client.deploy(name, packFiles(files, replaced), progress, { ...(message !== undefined && { message }) })),
    );
  }
  return outcomes;
}

async function attempt(name: string, deploy: () => Promise<Deployed>): Promise<Outcome> {
  try {
    return await deploy();
  } catch (error) {
    return { function: name, error: tell(error) };
  }
}

export function failed(outcome: Outcome): outcome is Failed {
  return 'error' in outcome;
}

export function succeeded(outcome: Outcome): outcome is Deployed {
  return !failed(outcome);
}
