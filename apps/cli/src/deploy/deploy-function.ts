import type { DeployOptions as BuildOptions, KilnClient } from '@kiln/client/client';
import type { Deployed } from '@kiln/contract/control-api';
import { type Told, tell } from '../failure.js';
import { packFiles } from '../folder/pack.js';
import { progressBar } from '../output/progress-bar.js';
import { readKnown } from './known.js';
import { servingAlready } from './plan.js';
import type { Candidate } from './prepare.js';

interface Failed {
  function: string;
  error: Told;
}

interface Removed {
  function: string;
  removed: true;
}

export type Outcome = Deployed | Removed | Failed;

/** From a candidate to a version that has the traffic. @throws KilnError or Failure */
export type Deploy = (candidate: Candidate, progress: (line: string) => void) => Promise<Deployed>;

export interface DeployOptions {
  client: KilnClient;
  deploy: Deploy;
  /** Without asking whether anything changed. */
  force?: boolean | undefined;
  say(line: string): void;
  /** Around all that is said of one function. */
  onBegin?(name: string): void;
  onEnd?(outcome: Outcome): void;
  /** Where a person watches: how far it is. */
  status?(text: string): void;
}

/** Deploys functions one after the other; a failure of one does not stop the next. What serves already is neither sent nor built. */
export async function deployAll(candidates: readonly Candidate[], options: DeployOptions): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const candidate of candidates) {
    options.onBegin?.(candidate.name);
    const outcome = await attempt(candidate.name, () => deployChanged(candidate, options));
    options.onEnd?.(outcome);
    outcomes.push(outcome);
    options.status?.('');
  }
  return outcomes;
}

async function deployChanged(candidate: Candidate, { client, deploy, force, say, status }: DeployOptions): Promise<Deployed> {
  const { name } = candidate;
  const started = performance.now();
  const progress = (line: string) => {
    say(`${name} +${((performance.now() - started) / 1000).toFixed(1)}s  ${line}`);
    const bar = progressBar(name, line);
    if (bar !== undefined) status?.(bar);
  };
  const known = force ? undefined : await readKnown(client, name);
  const serving = servingAlready(candidate, known);
  if (known === undefined || serving === undefined) return deploy(candidate, progress);
  const { version, digest } = serving;
  progress(`nothing changed since v${version}`);
  return { function: name, version, digest, url: known.function.url, changed: false };
}

/** Sends the folder to be built in the cluster. */
export function sendTo(client: KilnClient, how: Pick<BuildOptions, 'message' | 'traffic'> = {}): Deploy {
  return ({ name, files, replaced, buildArgs, sourceDigest, project }, progress) => {
    progress(`sending ${files.length} files`);
    const said = { ...how, ...(project !== undefined && { project }) };
    return client.deploy(name, packFiles(files, replaced), progress, { sourceDigest, buildArgs, ...said });
  };
}

export async function attempt<T>(name: string, action: () => Promise<T>): Promise<T | Failed> {
  try {
    return await action();
  } catch (error) {
    return { function: name, error: tell(error) };
  }
}

export function failed(outcome: Outcome): outcome is Failed {
  return 'error' in outcome;
}

export function deployed(outcome: Outcome): outcome is Deployed {
  return 'version' in outcome;
}
