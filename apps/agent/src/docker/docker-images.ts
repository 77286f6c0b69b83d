import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { KilnError } from '@kiln/contract/errors';
import type { ImageKind } from '@kiln/contract/function-config';
import type Dockerode from 'dockerode';
import type { ImageEngine, LocalImage, RegistryLogin } from '../images/image-engine.js';
import { registryOf } from '../images/image-reference.js';
import { engineFault, statusOf, within } from './deadline.js';

const INSPECT_MS = 10_000;
const PULL_START_MS = 30_000;
/** A pull may take long, but not without any progress. */
const PULL_SILENCE_MS = 60_000;
const PULL_MS = 15 * 60_000;
const MAX_LINE_CHARS = 64 * 1024;

/** Images of a Docker engine. */
export class DockerImages implements ImageEngine {
  constructor(private readonly docker: Dockerode) {}

  async find(image: string): Promise<LocalImage | undefined> {
    try {
      const info = await within('inspect an image', INSPECT_MS, () => this.docker.getImage(image).inspect());
      return facts(image, info);
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw engineFault(`inspect image ${image}`, error);
    }
  }

  async pull(image: string, login: RegistryLogin | undefined): Promise<void> {
    try {
      const options = login === undefined ? {} : { authconfig: login };
      const stream = await within('begin a pull', PULL_START_MS, async () => (await this.docker.pull(image, options)) as Readable);
      await finished(stream);
    } catch (error) {
      throw new KilnError('start_failed', `image ${image} cannot be pulled: ${(error as Error).message.trim()}`, {
        cause: error,
        fix: 'see that the reference is right and that this node may read from the registry',
      });
    }
  }
}

function facts(image: string, info: Dockerode.ImageInspectInfo): LocalImage {
  const config = info.Config;
  const kind: ImageKind = config.Labels?.['kiln.kind'] === 'runner' ? 'runner' : 'http';
  return {
    id: info.Id,
    kind,
    pinned: pinnedReference(image, info.RepoDigests ?? []),
    entrypoint: list(config.Entrypoint),
    command: list(config.Cmd),
    workingDirectory: config.WorkingDir ?? '',
    volumes: Object.keys((config.Volumes as Record<string, unknown> | null) ?? {}),
  };
}

/** The digest under which the registry named in the reference knows it. */
function pinnedReference(image: string, digests: readonly string[]): string | undefined {
  if (image.includes('@')) return image;
  const registry = registryOf(image);
  if (registry === undefined) return undefined;
  const repository = image.replace(/:[^:/]+$/, '');
  return digests.find((digest) => digest.startsWith(`${repository}@`));
}

function list(value: string | string[] | null | undefined): string[] {
  if (value === null || value === undefined) return [];
  return Array.isArray(value) ? value : [value];
}

/** The pull is over when its progress stream is; what went wrong is a line in it. */
async function finished(stream: Readable): Promise<void> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  let failure: string | undefined;
  let silence: NodeJS.Timeout | undefined;
  const watch = () => {
    clearTimeout(silence);
    silence = setTimeout(() => stream.destroy(new Error(`no progress for ${PULL_SILENCE_MS / 1000} s`)), PULL_SILENCE_MS);
  };
  const total = setTimeout(() => stream.destroy(new Error(`not done within ${PULL_MS / 60_000} min`)), PULL_MS);
  watch();
  try {
    for await (const chunk of stream) {
      watch();
      const lines = (rest + decoder.write(chunk as Buffer)).split('\n');
      rest = (lines.pop() ?? '').slice(0, MAX_LINE_CHARS);
      for (const line of lines) failure = errorIn(line) ?? failure;
    }
    failure = errorIn(rest) ?? failure;
  } finally {
    clearTimeout(silence);
    clearTimeout(total);
  }
  if (failure !== undefined) throw new Error(failure);
}

function errorIn(line: string): string | undefined {
  if (!line.includes('"error"')) return undefined;
  try {
    return (JSON.parse(line) as { error?: string }).error;
  } catch {
    return undefined;
  }
}
