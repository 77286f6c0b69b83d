import { rm } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { BuildArgs } from '@kiln/contract/api/build-args';
import type { BuildSecrets } from '@kiln/contract/api/build-secrets';
import type { BuiltImage } from '@kiln/contract/api/control-api';
import type { FunctionConfigInput } from '@kiln/contract/config/function-config';
import { KilnError } from '@kiln/contract/errors';
import type { Registries } from '@kiln/registry/registries';
import type Dockerode from 'dockerode';
import { type BuildLimits, DEFAULT_LIMITS } from './bounds/limits.js';
import { checkBase, checkBaseName } from './check-base.js';
import { checkDeclared } from './check-declared.js';
import { contextHash, type OwnFiles, sourcesOf } from './context.js';
import { detect } from './detect/detect.js';
import type { BuildPlan } from './detect/detector.js';
import { argsFor, declareArgs } from './dockerfile/build-arguments.js';
import { imagesOf } from './dockerfile/dockerfile-images.js';
import { ensureImage, imageId } from './engine/base-image.js';
import { describeExports } from './engine/describe.js';
import { ensurePrepared } from './engine/prepared-image.js';
import { push, type Registry, removeName } from './engine/registry.js';
import { guardedBuild } from './guarded-build.js';
import { runnerImage } from './runner-image.js';
import { mountSecrets } from './secrets/install-mounts.js';
import { chooseHandler, declaredConfig, mergeConfig } from './source/declared.js';
import type { SourceFolder } from './source/source-folder.js';
import { unpack } from './source/unpack.js';
import { makeWorkspace } from './source/workspace.js';

const MAX_BASES = 50;

export interface BuildRequest {
  docker: Dockerode;
  /** Gzip tar of the folder. */
  source: Readable;
  functionName: string;
  /** For the steps of the Dockerfile. */
  buildArgs?: BuildArgs;
  /** For those of its steps that ask for them; no image keeps them. */
  secrets?: BuildSecrets;
  limits?: Partial<BuildLimits>;
  /** Where the other nodes get the image; without one it stays on this engine. */
  registry?: Registry;
  /** Logins for base images that the engine does not have. */
  registries?: Registries;
  /** Owner of the containers that a build makes. */
  nodeId?: string;
  /** Where the source is unpacked; the machine's folder for temporary files without. */
  workspaces?: string;
  /** Network of the build's steps; the engine's default without. */
  network?: string;
  onLine(line: string): void;
  signal: AbortSignal;
}

type Build = Omit<BuildRequest, 'limits' | 'buildArgs' | 'secrets'> & { limits: BuildLimits; buildArgs: BuildArgs; secrets: BuildSecrets };

/**
 * From a folder to an image that can be started, in order: unpack, detect, Dockerfile, build, describe, push.
 * Equal sources give an equal image, found instead of built the second time.
 * @throws KilnError `bad_request` for whatever is wrong with the folder; nothing of it stays behind.
 */
export async function build(request: BuildRequest): Promise<BuiltImage> {
  const limits = { ...DEFAULT_LIMITS, ...request.limits };
  const deadline = AbortSignal.timeout(limits.time);
  const run: Build = { buildArgs: {}, secrets: {}, ...request, limits, signal: AbortSignal.any([request.signal, deadline]) };
  const root = await makeWorkspace(request.workspaces);
  try {
    return await buildIn(root, run);
  } catch (error) {
    if (request.signal.aborted) throw new KilnError('unavailable', 'the build was cancelled', { cause: error });
    if (deadline.aborted) throw new KilnError('bad_request', `the build was not done within ${limits.time / 1000} s`, { cause: error });
    throw error;
  } finally {
    request.source.destroy();
    await rm(root, { recursive: true, force: true });
  }
}

async function buildIn(root: string, run: Build): Promise<BuiltImage> {
  const folder = await unpack(run.source, root, run.limits, run.signal);
  const declared = await declaredConfig(folder, run.functionName);
  const plan = await detect(folder, declared);
  for (const note of plan.notes) run.onLine(note);
  await checkDeclared(folder, { plan, config: declared, functionName: run.functionName });
  const made = await makeImage(folder, plan, run);
  try {
    const config =
      plan.kind === 'runner' && plan.entry !== undefined
        ? await completeConfig(made.id, plan.entry, declared, run)
        : configOf(plan, declared);
    return { ...(await publish(made, run)), kind: plan.kind, config };
  } catch (error) {
    // Nobody would use it, and nobody else knows of it.
    if (made.isNew) await removeName(run.docker, made.reference);
    throw error;
  }
}

interface Made {
  id: string;
  tag: string;
  reference: string;
  /** Made by this build, not by one before. */
  isNew: boolean;
}

async function makeImage(folder: SourceFolder, plan: BuildPlan, run: Build): Promise<Made> {
  const { docker, onLine, signal, limits, network, secrets } = run;
  const baseIds = await ensureBases(folder, plan, run);
  const own = await ownFiles(plan, baseIds, run);
  const args = own === undefined ? argsFor(await folder.readText('Dockerfile'), run.buildArgs, run.functionName) : run.buildArgs;
  const tag = contextHash(folder, own, baseIds, args, Object.keys(secrets));
  const reference = `kiln/${run.functionName}:${tag}`;
  const there = await imageId(docker, reference);
  if (there !== undefined) {
    onLine(`nothing changed: ${reference} is there already`);
    return { id: there, tag, reference, isNew: false };
  }
  const sources = await sourcesOf(folder, own);
  const node = run.nodeId ?? `local-${process.pid}`;
  await guardedBuild({ docker, sources, secrets, tag: reference, labels: kindLabels(plan), args, node, limits, network, onLine, signal });
  const id = await imageId(docker, reference);
  if (id === undefined) throw new KilnError('unavailable', `the engine lost ${reference} after its build`);
  return { id, tag, reference, isNew: true };
}

/** Those of a Dockerfile that nobody here wrote are looked at, too. */
async function ensureBases(
  folder: SourceFolder,
  plan: BuildPlan,
  { docker, onLine, signal, registries, buildArgs }: Build,
): Promise<string[]> {
  const ids = new Map<string, string>();
  const isOwn = plan.dockerfile === undefined;
  const images = isOwn ? imagesOf(await folder.readText('Dockerfile'), buildArgs) : [...plan.baseImages];
  for (let image = images.shift(); image !== undefined; image = images.shift()) {
    if (ids.has(image)) continue;
    if (isOwn) checkBaseName(image);
    const id = await ensureImage(docker, image, onLine, signal, registries);
    ids.set(image, id);
    if (isOwn) images.push(...(await checkBase(docker, image, id)));
    if (ids.size > MAX_BASES) throw new KilnError('bad_request', `Dockerfile: more than ${MAX_BASES} base images`);
  }
  return [...ids.values()];
}

/** Absent where the folder brings its own Dockerfile. */
async function ownFiles(plan: BuildPlan, baseIds: string[], run: Build): Promise<OwnFiles | undefined> {
  if (plan.dockerfile === undefined) return undefined;
  const given = { preparedImage: await preparedImage(plan, baseIds, run), functionName: run.functionName };
  const { content, sourcesUnder } = plan.dockerfile;
  return {
    dockerfile: mountSecrets(declareArgs(content(given), run.buildArgs), Object.keys(run.secrets)),
    sourcesUnder,
    files: plan.files ?? new Map(),
  };
}

/** Runner functions have theirs from the runner's image; any other must not pass for one. */
function kindLabels({ kind }: BuildPlan): Record<string, string> {
  return kind === 'runner' ? {} : { 'kiln.kind': kind };
}

async function preparedImage(plan: BuildPlan, [baseImageId]: string[], { docker, onLine, signal }: Build): Promise<string> {
  const prepared = plan.kind === 'runner' ? await runnerImage() : plan.prepared;
  if (prepared === undefined) return '';
  if (baseImageId === undefined) throw new Error(`kiln/${prepared.name} is built on an image that the plan does not name`);
  return await ensurePrepared(docker, prepared, baseImageId, onLine, signal);
}

/** What the folder tells without being run. */
function configOf({ kind, entry, handler, config }: BuildPlan, declared: FunctionConfigInput): FunctionConfigInput {
  const merged = { ...config, ...declared };
  return kind === 'http' ? merged : { ...merged, ...(entry !== undefined && { entry }), ...(handler !== undefined && { handler }) };
}

/** What only the module itself can tell: its exports, and their configuration. */
async function completeConfig(image: string, entry: string, declared: FunctionConfigInput, run: Build): Promise<FunctionConfigInput> {
  const startTime = declared.startTimeout ?? Number.POSITIVE_INFINITY;
  const description = await describeExports({
    docker: run.docker,
    image,
    entry,
    env: declared.env ?? {},
    memory: Math.min(declared.memory ?? 256, run.limits.memory),
    cpus: Math.min(declared.cpu ?? 1, run.limits.cpus),
    time: Math.min(run.limits.describeTime, startTime),
    labels: { 'kiln.role': 'build', 'kiln.function': run.functionName, ...(run.nodeId !== undefined && { 'kiln.node': run.nodeId }) },
    signal: run.signal,
  });
  if ('failure' in description) {
    // All of it is told by the start, where that fails too: a secret may be what the module lacks here.
    run.onLine(`the exports can't be read before the start: ${description.failure.trim().split(/\n\s*/, 2).join(' ')}`);
    return { ...declared, entry };
  }
  const chosen = chooseHandler(description.exports, declared.handler, run.functionName);
  run.onLine(`handler: ${chosen.name}`);
  return { ...mergeConfig(declared, chosen.config, 'runner', chosen.name), entry, handler: chosen.name };
}

async function publish(
  { id, tag }: Made,
  { docker, registry, functionName, onLine, signal }: Build,
): Promise<{ image: string; digest: string }> {
  if (registry === undefined) return { image: id, digest: id };
  return await push(docker, { image: id, name: functionName, tag }, registry, onLine, signal);
}
