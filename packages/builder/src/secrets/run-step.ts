import { hash } from 'node:crypto';
import { StringDecoder } from 'node:string_decoder';
import { KilnError } from '@kiln/contract/errors';
import { engineError } from '@kiln/engine/engine-error';
import { inspectImage } from '@kiln/engine/remove';
import type Dockerode from 'dockerode';
import type { BuildOutput } from '../engine/build-output.js';
import { SECRETS_FOLDER, type SecretMount } from './secret-mounts.js';
import type { SecretStep } from './secret-step.js';
import { StepContainer, type StepContainerOptions } from './step-container.js';

const PROXY = /^(https?|ftp|no|all)_proxy$/i;

const PLACE_TAKEN = 3;
/** Writes a file in a tmpfs, and makes a link to it for a target elsewhere: `$1` file, `$2` mode, `$3` owner, `$4` link. */
const PUT = `umask 077 && cat > "$1" && chown "$3" "$1" && chmod "$2" "$1" || exit 1
[ -z "$4" ] || { mkdir -p "\${4%/*}/" && [ ! -e "$4" ] && [ ! -L "$4" ] && ln -s "$1" "$4"; } || exit ${PLACE_TAKEN}`;
/** Removes the links. Fails where the step has put a file in the place of a link: the image would keep that file and its content. */
const REMOVE_LINKS = 'for link do [ -L "$link" ] && rm "$link" || exit 1; done';

export interface StepRun extends Omit<StepContainerOptions, 'image'> {
  /** Image of the part of the Dockerfile above the step, with the labels of its build arguments. */
  above: string;
  /** By id. */
  secrets: ReadonlyMap<string, Buffer>;
  args: Record<string, string>;
  output: BuildOutput;
  onImage(id: string): void;
}

interface StepImage {
  image: string;
  /** Its ONBUILD triggers. */
  onBuild: string[];
}

/**
 * Runs a step that reads secrets in a container of Kiln's own and commits the result as an image: the engine's builder would keep the
 * secrets in a layer. Uses the image of an earlier run where the step, its arguments and the image below it are the same.
 * @throws KilnError
 */
export async function runSecretStep(step: SecretStep, run: StepRun): Promise<StepImage> {
  const { docker, output, onImage } = run;
  const { Id, Parent: image, Config: labelled } = await docker.getImage(run.above).inspect();
  await docker.getImage(Id).remove({ noprune: true });
  const config = await configOf(docker, image);
  const env = environment(step, labelled.Labels ?? {}, config.Env ?? [], run.args);
  output.enter(step.title);
  const mounted = givenMounts(step.mounts, run.secrets);
  const comment = `kiln step ${keyOf(step, mounted, env)}`;
  const onBuild = config.OnBuild ?? [];
  const before = await findImage(docker, image, comment);
  if (before !== undefined) return { image: before, onBuild };
  const made = await runAndCommit(step, run, { image, config, env, mounted, comment });
  onImage(made);
  return { image: made, onBuild };
}

type ImageConfig = Dockerode.ImageInspectInfo['Config'] & { Shell?: string[] | null; OnBuild?: string[] | null };

interface Prepared {
  image: string;
  config: ImageConfig;
  env: string[];
  mounted: SecretMount[];
  comment: string;
}

async function runAndCommit(step: SecretStep, run: StepRun, { image, config, env, mounted, comment }: Prepared): Promise<string> {
  const container = await StepContainer.open({ ...run, image }).catch((error: unknown) => {
    if (run.signal.aborted) throw error;
    throw cannotStart(run.output, error);
  });
  try {
    const links = await putSecrets(container, mounted, run);
    const shell = config.Shell?.length ? config.Shell : ['/bin/sh', '-c'];
    const command = typeof step.command === 'string' ? [...shell, step.command] : step.command;
    const decoder = new StringDecoder('utf8');
    const code = await container.run({ command, env, onOutput: (chunk) => run.output.add(decoder.write(chunk)) });
    if (code !== 0) throw run.output.failure(`The command returned a non-zero code: ${code}`);
    if (links.length > 0 && (await container.run({ command: ['/bin/sh', '-c', REMOVE_LINKS, 'sh', ...links], user: '0:0' })) !== 0)
      throw run.output.failure(`the step has written over the place of a secret, one of ${links.join(', ')}`);
    // All fields are set: the engine takes a missing field from the container.
    const kept = { ...config, Cmd: config.Cmd ?? [], Entrypoint: config.Entrypoint ?? [], OnBuild: null };
    return await container.commit(kept, comment);
  } catch (error) {
    if (run.signal.aborted || error instanceof KilnError) throw error;
    throw (await container.hasEnded()) ? endedEarly(run.output) : engineError('a step with a secret', error);
  } finally {
    await container.close();
  }
}

/** @returns the links to remove after the step */
async function putSecrets(container: StepContainer, mounts: readonly SecretMount[], { secrets, output }: StepRun): Promise<string[]> {
  const links: string[] = [];
  for (const [at, { id, target, uid, gid, mode }] of mounts.entries()) {
    const isThere = target.startsWith(`${SECRETS_FOLDER}/`) && !target.slice(SECRETS_FOLDER.length + 1).includes('/');
    const file = isThere ? target : `${SECRETS_FOLDER}/.${at}`;
    const link = isThere ? '' : target;
    const command = ['/bin/sh', '-c', PUT, 'sh', file, mode, `${uid}:${gid}`, link];
    const code = await container.run({ command, user: '0:0', stdin: secrets.get(id) ?? Buffer.alloc(0) });
    if (code === PLACE_TAKEN) throw new KilnError('bad_request', `the secret "${id}" can't be put to ${target}: something is there`);
    if (code !== 0) throw endedEarly(output);
    if (link !== '') links.push(link);
  }
  return links;
}

/** @throws KilnError where a required secret is missing */
function givenMounts(mounts: readonly SecretMount[], secrets: StepRun['secrets']): SecretMount[] {
  const missing = mounts.find(({ id, required }) => required && !secrets.has(id));
  if (missing === undefined) return mounts.filter(({ id }) => secrets.has(id));
  throw new KilnError('bad_request', `a step of the Dockerfile requires the secret "${missing.id}"`, {
    fix: `give it: --build-secret ${missing.id}=FILE`,
  });
}

/** Build arguments as environment variables; a variable of the image wins. */
function environment(step: SecretStep, labels: Record<string, string>, set: readonly string[], given: Record<string, string>): string[] {
  const names = new Set(set.map((pair) => pair.split('=')[0]));
  const args = [...step.args].map(([name, label]) => [name, labels[label] ?? ''] as const).filter(([, value]) => value !== '');
  const proxies = Object.entries(given).filter(([name]) => PROXY.test(name));
  return [...args, ...proxies].filter(([name]) => !names.has(name)).map(([name, value]) => `${name}=${value}`);
}

async function configOf(docker: Dockerode, image: string): Promise<ImageConfig> {
  if (image !== '') return (await docker.getImage(image).inspect()).Config as ImageConfig;
  throw new KilnError('bad_request', 'a step with a secret needs an image with a shell under it');
}

/** Without the secrets' contents: as with any step, a changed secret does not run it again. */
function keyOf({ command, mounts }: SecretStep, given: readonly SecretMount[], env: readonly string[]): string {
  return hash('sha256', JSON.stringify([command, mounts, given.map(({ id }) => id), env]));
}

async function findImage(docker: Dockerode, parent: string, comment: string): Promise<string | undefined> {
  for (const { Id, ParentId } of await docker.listImages({ all: true })) {
    if (ParentId !== parent) continue;
    if ((await inspectImage(docker, Id))?.Comment === comment) return Id;
  }
  return undefined;
}

function endedEarly(output: BuildOutput): KilnError {
  return output.failure('the container of the step ended before it: it ran out of memory, or the image has no /bin/sh or no cat');
}

function cannotStart(output: BuildOutput, error: unknown): KilnError {
  const { statusCode, message } = error as { statusCode?: number; message: string };
  return statusCode === 400 || statusCode === 404 || statusCode === 500
    ? output.failure(message.trim())
    : engineError('a step with a secret', error);
}
