import type { DeployOptions as BuildOptions, KilnClient } from '@kiln/client/client';
import type { Deployed } from '@kiln/contract/api/control-api';
import { KilnError } from '@kiln/contract/errors';
import type { VersionRecord } from '@kiln/contract/records/records';
import { type ErrorReport, tell } from '../failure.js';
import { packFiles } from '../folder/pack.js';
import { Progress } from '../output/progress-bar.js';
import { paint } from '../output/style.js';
import { concurrently } from './concurrently.js';
import { type DeployedFunction, readDeployed } from './deployed-function.js';
import { EngineLines } from './engine-lines.js';
import { madeBefore, servingAlready } from './plan.js';
import type { PreparedFunction } from './prepare.js';
import { requireSecrets } from './require-secrets.js';

interface Failed {
  function: string;
  error: ErrorReport;
}

interface Removed {
  function: string;
  removed: true;
}

export type DeployOutcome = Deployed | Removed | Failed;

/** What is said of each version that is made. */
export type VersionNotes = Pick<BuildOptions, 'message' | 'traffic'>;

/** From a candidate to a version that has the traffic. @throws KilnError or Failure */
export type Deploy = (candidate: PreparedFunction, progress: (line: string) => void) => Promise<Deployed>;

export interface DeployRun {
  client: KilnClient;
  deploy: Deploy;
  /** Of versions that need no build. */
  how?: VersionNotes;
  /** Without asking whether anything changed. */
  force?: boolean | undefined;
  /** How many at the same time. */
  limit?: number;
  /** After it, none is begun. */
  signal?: AbortSignal;
  log: DeployLog;
  /** With all that the engine's steps write. */
  verbose?: boolean | undefined;
  /** Called with what was there before a function's deployment. */
  onBefore?(name: string, known: DeployedFunction | undefined): void;
  /** Where a person watches: how far it is. */
  status?(text: string): void;
}

/** Where is told what becomes of functions that are deployed, some of them at the same time. */
export interface DeployLog {
  /** Before all that is said of a function. */
  begin?(name: string): void;
  say(line: string, name: string): void;
  /** After it. */
  end?(outcome: DeployOutcome): void;
}

/** A node builds two at a time: one more is sent meanwhile, and there may be several nodes. */
const AT_ONCE = 3;

/** Deploys functions, a few at once; a failure of one does not stop the others. What serves already is neither sent nor built. */
export async function deployAll(candidates: readonly PreparedFunction[], options: DeployRun): Promise<DeployOutcome[]> {
  const { limit = AT_ONCE, signal, log, status, verbose } = options;
  const width = Math.max(...candidates.map(({ name }) => name.length));
  const progress = new Progress();
  return await concurrently(candidates, { limit, signal }, async (candidate) => {
    const { name } = candidate;
    const started = performance.now();
    const engine = new EngineLines();
    const show = (line: string) => log.say(`${name.padEnd(width)} +${((performance.now() - started) / 1000).toFixed(1)}s  ${line}`, name);
    const say = (line: string) => {
      if (!engine.takes(line) || verbose) show(line);
      if (progress.see(name, line)) status?.(progress.text());
    };
    log.begin?.(name);
    const outcome = await attempt(name, () => deployChanged(candidate, options, say));
    if (failed(outcome) && candidates.length > 1 && !signal?.aborted)
      show(paint('red', `failed: ${outcome.error.message.split('\n')[0]?.replace(/; its last log lines:$/, '')}`));
    progress.end(name);
    status?.(progress.text());
    log.end?.(outcome);
    return outcome;
  });
}

async function deployChanged(candidate: PreparedFunction, options: DeployRun, say: (line: string) => void): Promise<Deployed> {
  const { client, deploy, force } = options;
  const { name } = candidate;
  await requireSecrets(client, candidate);
  const known = await readDeployed(client, name);
  options.onBefore?.(name, known);
  if (known === undefined || force) return deploy(candidate, say);
  const serving = servingAlready(candidate, known);
  if (serving !== undefined) {
    const { version, digest } = serving;
    say(`nothing changed since v${version}`);
    return { function: name, version, digest, url: known.function.url, changed: false };
  }
  const before = madeBefore(candidate, known);
  return (before && (await deployAgain(candidate, before, options, say))) ?? deploy(candidate, say);
}

/** A version of an image that is there already. Undefined where it can't start: it may be lost, and a build makes it again. */
async function deployAgain(
  { name, sourceDigest, project }: PreparedFunction,
  { version, image, config }: VersionRecord,
  { client, how, signal }: DeployRun,
  say: (line: string) => void,
): Promise<Deployed | undefined> {
  say(`the sources are those of v${version}: its image again`);
  const origin = { sourceDigest, ...(project !== undefined && { project }) };
  try {
    return await client.versions.create(name, { image, config, ...how, ...origin }, signal === undefined ? {} : { signal });
  } catch (error) {
    if (!(error instanceof KilnError) || error.code !== 'start_failed') throw error;
    say(`it does not start: ${error.message.split('\n')[0]}`);
    return undefined;
  }
}

/** Sends the folder to be built in the cluster. */
export function sendTo(client: KilnClient, how: Pick<BuildOptions, 'message' | 'traffic' | 'signal'> = {}): Deploy {
  return ({ name, files, replaced, buildArgs, buildSecrets, sourceDigest, project }, progress) => {
    progress(files.length === 1 ? 'sending 1 file' : `sending ${files.length} files`);
    const said = { ...how, ...(project !== undefined && { project }) };
    return client.deploy(name, packFiles(files, replaced), progress, { sourceDigest, buildArgs, buildSecrets, ...said });
  };
}

export async function attempt<T>(name: string, action: () => Promise<T>): Promise<T | Failed> {
  try {
    return await action();
  } catch (error) {
    return { function: name, error: tell(error) };
  }
}

export function failed(outcome: DeployOutcome): outcome is Failed {
  return 'error' in outcome;
}

export function deployed(outcome: DeployOutcome): outcome is Deployed {
  return 'version' in outcome;
}
