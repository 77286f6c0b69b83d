import type { DeployOptions as BuildOptions, KilnClient } from '@kiln/client/client';
import type { Deployed } from '@kiln/contract/api/control-api';
import { KilnError } from '@kiln/contract/errors';
import type { VersionRecord } from '@kiln/contract/records/records';
import { concurrently } from '../concurrently.js';
import { type ErrorReport, tell } from '../failure.js';
import { packFiles } from '../folder/pack.js';
import { Progress } from '../output/progress-bar.js';
import { paint } from '../output/style.js';
import { type DeployedFunction, readDeployed } from './deployed-function.js';
import { EngineLines } from './engine-lines.js';
import { madeBefore, servingAlready } from './plan.js';
import type { PreparedFunction } from './prepare.js';
import { requireSecrets } from './require-secrets.js';

type Failed = { function: string; error: ErrorReport };
export type DeployOutcome = Deployed | { function: string; removed: true } | Failed;

/** Message and traffic for each new version. */
export type VersionNotes = Pick<BuildOptions, 'message' | 'traffic'>;

/** Deploys one function. @throws KilnError or Failure */
export type Deploy = (candidate: PreparedFunction, progress: (line: string) => void) => Promise<Deployed>;

export interface DeployRun {
  client: KilnClient;
  deploy: Deploy;
  /** For versions that need no build. */
  how?: VersionNotes;
  /** Deploys unchanged functions too. */
  force?: boolean | undefined;
  /** How many functions at the same time. */
  limit?: number;
  /** Aborted: starts no further function. */
  signal?: AbortSignal;
  log: DeployLog;
  /** Shows the whole output of the builds. */
  verbose?: boolean | undefined;
  /** Called before each deployment with what the cluster has of the function. */
  onBefore?(name: string, known: DeployedFunction | undefined): void;
  /** Shows the progress on a terminal. */
  status?(text: string): void;
}

/** Receives the output of all deployments, some of which run at the same time. */
export interface DeployLog {
  /** Before the first line of a function. */
  begin?(name: string): void;
  say(line: string, name: string): void;
  /** After its last line. */
  end?(outcome: DeployOutcome): void;
}

/** A node builds two at a time. One more can be sent meanwhile, and there may be several nodes. */
const AT_ONCE = 3;

/** Deploys functions, a few at once; one failure does not stop the others. Unchanged functions are neither sent nor built. */
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
    const outcome = await deployChanged(candidate, options, say).catch(failure(name));
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
  const { name, note } = candidate;
  await requireSecrets(client, candidate);
  const known = await readDeployed(client, name);
  options.onBefore?.(name, known);
  const reusable = force ? undefined : known;
  const serving = reusable && servingAlready(candidate, reusable);
  const isLost = serving !== undefined && (await client.versions.isImageLost(name, serving.version)) === true;
  if (reusable !== undefined && serving !== undefined && !isLost) {
    const { version, digest } = serving;
    say(`nothing changed since v${version}`);
    return { function: name, version, digest, url: reusable.function.url, changed: false };
  }
  if (note !== undefined) say(note);
  if (isLost) say(`the image of v${serving.version} is gone from its nodes: builds it again`);
  const before = isLost ? undefined : reusable && madeBefore(candidate, reusable);
  return (before && (await deployAgain(candidate, before, options, say))) ?? deploy(candidate, say);
}

/** Makes a version of an existing image. Undefined when it does not start: the image may be lost, and the caller builds it again. */
async function deployAgain(candidate: PreparedFunction, before: VersionRecord, run: DeployRun, say: (line: string) => void) {
  const { name, sourceDigest, project } = candidate;
  const { version, image, config } = before;
  const { client, how, signal } = run;
  say(`same sources as v${version}: uses its image again`);
  try {
    return await client.versions.create(name, { image, config, ...how, sourceDigest, project }, { signal });
  } catch (error) {
    if (!(error instanceof KilnError) || error.code !== 'start_failed') throw error;
    say(`it does not start: ${error.message.split('\n')[0]}`);
    return undefined;
  }
}

/** Sends the folder to the cluster, which builds it. */
export function sendTo(client: KilnClient, how: VersionNotes & { signal?: AbortSignal } = {}): Deploy {
  return ({ name, files, replaced, buildArgs, buildSecrets, sourceDigest, project }, progress) => {
    progress(files.length === 1 ? 'sending 1 file' : `sending ${files.length} files`);
    return client.deploy(name, packFiles(files, replaced), progress, { sourceDigest, buildArgs, buildSecrets, ...how, project });
  };
}

/** Turns an error into the outcome of a function. */
export function failure(name: string): (error: unknown) => Failed {
  return (error) => ({ function: name, error: tell(error) });
}

export function failed(outcome: DeployOutcome): outcome is Failed {
  return 'error' in outcome;
}

export function deployed(outcome: DeployOutcome): outcome is Deployed {
  return 'version' in outcome;
}
