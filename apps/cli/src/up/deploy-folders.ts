import { readdir } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import type { KilnClient } from '@kiln/client/client';
import { concurrently } from '../concurrently.js';
import { type DeployOutcome, deployAll, failed, failure, sendTo } from '../deploy/deploy-function.js';
import { prepare } from '../deploy/prepare.js';
import { UsageFailure } from '../failure.js';
import type { Terminal } from '../output/terminal.js';

const AT_ONCE = 2;
const SHOWN_LINES = 20;

/** The folders in a folder. @throws UsageFailure when it is not readable */
export async function foldersIn(dir: string): Promise<string[]> {
  const folder = resolve(dir);
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: Error) => {
    throw new UsageFailure(`cannot read ${folder}: ${error.message}`, 'give --deploy a folder of folders');
  });
  return entries
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.') && entry.name !== 'node_modules')
    .map((entry) => join(folder, entry.name))
    .sort();
}

/** Deploys every folder, a few at once. An error in one does not stop the others. */
export async function deployFolders(folders: readonly string[], client: KilnClient, terminal: Terminal): Promise<DeployOutcome[]> {
  const signal = terminal.interrupted;
  const outcomes = await concurrently(folders, { limit: AT_ONCE, signal }, (folder) => deployFolder(folder, client, terminal));
  return outcomes.flat();
}

/** Shows the last lines of a build's output only when it failed: several builds run at once. */
async function deployFolder(folder: string, client: KilnClient, terminal: Terminal): Promise<DeployOutcome[]> {
  const name = basename(folder);
  terminal.say(`deploying ${name}`);
  const lines: string[] = [];
  try {
    const say = (line: string) => void lines.splice(0, Math.max(0, lines.push(line) - SHOWN_LINES));
    const outcomes = await deployAll(await prepare(folder), { client, deploy: sendTo(client), limit: 1, log: { say }, verbose: true });
    if (outcomes.some(failed)) for (const line of lines) terminal.say(`  | ${line}`);
    return outcomes;
  } catch (error) {
    return [failure(name)(error)];
  }
}
