import { rm } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { BuildArgs } from '@kiln/contract/api/build-args';
import type { BuildSecrets } from '@kiln/contract/api/build-secrets';
import type { BuiltImage } from '@kiln/contract/api/control-api';
import type { FunctionConfigInput } from '@kiln/contract/config/function-config';
import { KilnError } from '@kiln/contract/errors';
import { onlyExposed } from '@kiln/engine/exposed-port';
import { discardImage } from '@kiln/engine/remove';
import type { Registries } from '@kiln/registry/registries';
import type Dockerode from 'dockerode';
import { type BuildLimits, DEFAULT_LIMITS } from './bounds/limits.js';
import { checkBase, checkBaseName } from './check-base.js';
import { checkDeclared } from './check-declared.js';
import { contextHash, type OwnFiles, sourcesOf } from './context.js';
import { detect } from './detect/detect.js';
import { type BuildPlan, dockerfileText } from './detect/detector.js';
import { argsFor, declareArgs } from './dockerfile/build-arguments.js';
import { imagesOf } from './dockerfile/dockerfile-images.js';
import { ensureImage, imageId } from './engine/base-image.js';
import { describeExports } from './engine/describe.js';
import { ensurePrepared } from './engine/prepared-image.js';
import { push, type Registry } from './engine/registry.js';
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
  /** Build arguments for the steps of the Dockerfile. */
  buildArgs?: BuildArgs;
  /** For the steps that mount them; no image keeps them. */
  secrets?: BuildSecrets;
  limits?: Partial<BuildLimits>;
  /** The registry from which other nodes pull the image; without one the image stays on this engine. */
  registry?: Registry;
  /** Logins for base images that the engine does not have. */
  registries?: Registries;
  /** The node that owns the containers of the build. */
  nodeId?: string;
  /** Folder in which the source is unpacked; default the machine's folder for temporary files. */
  workspaces?: string;
  /** Network of the steps; default the engine's own. */
  network?: string;
  onLine(line: string): void;
  signal: AbortSignal;
}

type Build = Omit<BuildRequest, 'limits' | 'buildArgs' | 'secrets'> & { limits: BuildLimits; buildArgs: BuildArgs; secrets: BuildSecrets };

/**
 * Makes an image of a folder, in order: unpack, detect, Dockerfile, build, describe, push. Equal sources give the same image, so the
 * second build finds it.
 * @throws KilnError `bad_request` for a fault of the folder; a failed build leaves nothing on the machine
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
        : { ...(await exposedPort(made.id, plan, declared, run)), ...configOf(plan, declared) };
    const local = { image: made.id, name: run.functionName, tag: made.tag };
    const { image, digest } = run.registry === undefined ? { image: made.id, digest: made.id } : await push(run, local, run.registry);
    return { image, digest, kind: plan.kind, config };
  } catch (error) {
    // Nobody would use the image, and nobody else knows it.
    if (made.isNew) await discardImage(run.docker, made.reference);
    throw error;
  }
}

interface LocalImage {
  id: string;
  tag: string;
  reference: string;
  /** Made by this build, not by an earlier one. */
  isNew: boolean;
}

async function makeImage(folder: SourceFolder, plan: BuildPlan, run: Build): Promise<LocalImage> {
  const { docker, onLine, signal, limits, network, secrets } = run;
  const baseIds = await ensureBases(folder, plan, run);
  const own = await ownFiles(plan, baseIds, run);
  const args = own === undefined ? argsFor(await folder.readText('Dockerfile'), run.buildArgs, run.functionName) : run.buildArgs;
  const tag = contextHash(folder, own, baseIds, args, Object.keys(secrets));
  const reference = `kiln/${run.functionName}:${tag}`;
  const present = await imageId(docker, reference);
  if (present !== undefined) {
    onLine(`nothing changed: ${reference} exists already`);
    return { id: present, tag, reference, isNew: false };
  }
  const sources = await sourcesOf(folder, own);
  const node = run.nodeId ?? `local-${process.pid}`;
  await guardedBuild({ docker, sources, secrets, tag: reference, labels: kindLabels(plan), args, node, limits, network, onLine, signal });
  const id = await imageId(docker, reference);
  if (id === undefined) throw new KilnError('unavailable', `the engine lost ${reference} after its build`);
  return { id, tag, reference, isNew: true };
}

/** Pulls the base images. Checks those of a Dockerfile in the folder, too. */
async function ensureBases(folder: SourceFolder, plan: BuildPlan, run: Build): Promise<string[]> {
  const ids = new Map<string, string>();
  const isOwn = plan.dockerfile === undefined;
  const images = isOwn ? imagesOf(await folder.readText('Dockerfile'), run.buildArgs) : [...plan.baseImages];
  for (let image = images.shift(); image !== undefined; image = images.shift()) {
    if (ids.has(image)) continue;
    if (isOwn) checkBaseName(image);
    const id = await ensureImage(run, image, run.registries);
    ids.set(image, id);
    if (isOwn) images.push(...(await checkBase(run.docker, image, id)));
    if (ids.size > MAX_BASES) throw new KilnError('bad_request', `Dockerfile: more than ${MAX_BASES} base images`);
  }
  return [...ids.values()];
}

/** Undefined where the folder has a Dockerfile. */
async function ownFiles(plan: BuildPlan, baseIds: string[], run: Build): Promise<OwnFiles | undefined> {
  const text = dockerfileText(plan, { preparedImage: await preparedImage(plan, baseIds, run), functionName: run.functionName });
  if (text === undefined) return undefined;
  const dockerfile = mountSecrets(declareArgs(text, run.buildArgs), Object.keys(run.secrets));
  return { dockerfile, files: plan.files ?? new Map() };
}

/** An image of a runner function has the label from the runner's image; any other image must not look like one. */
function kindLabels({ kind }: BuildPlan): Record<string, string> {
  return kind === 'runner' ? {} : { 'kiln.kind': kind };
}

async function preparedImage(plan: BuildPlan, [baseImageId]: string[], run: Build): Promise<string> {
  const prepared = plan.kind === 'runner' ? await runnerImage() : plan.prepared;
  if (prepared === undefined) return '';
  if (baseImageId === undefined) throw new Error(`kiln/${prepared.name} is built on an image that the plan does not name`);
  return await ensurePrepared(run, prepared, baseImageId);
}

/** The configuration that the builder reads without running the module. */
function configOf({ kind, entry, handler, config }: BuildPlan, declared: FunctionConfigInput): FunctionConfigInput {
  const merged = { ...config, ...declared };
  return kind === 'http' ? merged : { ...merged, ...(entry !== undefined && { entry }), ...(handler !== undefined && { handler }) };
}

/** Where the image of a folder's own Dockerfile says by EXPOSE, its own or that of its base, that it listens; kiln.json wins. */
async function exposedPort(
  id: string,
  plan: BuildPlan,
  declared: FunctionConfigInput,
  { docker, onLine }: Build,
): Promise<FunctionConfigInput> {
  if (plan.dockerfile !== undefined || declared.port !== undefined) return {};
  const port = onlyExposed(await docker.getImage(id).inspect());
  if (port === undefined) return {};
  onLine(`the image exposes ${port}: requests go there, and PORT says the same`);
  return { port };
}

/** Runs the module to read its exports and their configuration. */
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
    // No error yet: the module may only lack a secret here. Where its first instance fails too, the deployment shows the whole reason.
    run.onLine(`can't read the exports before the first start: ${description.failure.trim().split(/\n\s*/, 2).join(' ')}`);
    return { ...declared, entry };
  }
  const chosen = chooseHandler(description.exports, declared.handler, run.functionName);
  run.onLine(`handler: ${chosen.name}`);
  return { ...mergeConfig(declared, chosen.config, 'runner', chosen.name), entry, handler: chosen.name };
}
