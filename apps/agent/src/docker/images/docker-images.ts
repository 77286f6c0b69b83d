import type { Readable } from 'node:stream';
import { KilnError } from '@kiln/contract/errors';
import { type ImageKind, imageKind } from '@kiln/contract/kinds';
import { statusOf } from '@kiln/engine/engine-error';
import { onlyExposed } from '@kiln/engine/exposed-port';
import { jsonLinesOf } from '@kiln/engine/json-lines';
import type { RegistryLogin } from '@kiln/registry/login';
import type Dockerode from 'dockerode';
import { diskFull, isDiskFull } from '../../images/disk-full.js';
import type { ImageEngine, LocalImage } from '../../images/image-engine.js';
import { holdName, holdTag, isOurs } from '../../images/own-references.js';
import { engineFault, within } from '../deadline.js';
import { PullProgress } from './pull-progress.js';

const INSPECT_MS = 10_000;
/** ms; a pull may take long, but not without any progress. */
const PULL_BOUNDS = { start: 30_000, silence: 60_000, total: 15 * 60_000 };
const RESOLVE_MS = 20_000;
const HOLD_MS = 10_000;
const PROGRESS_MS = 10_000;

/** Images of a Docker engine. */
export class DockerImages implements ImageEngine {
  constructor(
    private readonly docker: Dockerode,
    private readonly node: string,
    private readonly bounds = PULL_BOUNDS,
  ) {}

  async find(image: string): Promise<LocalImage | undefined> {
    try {
      const info = await within('inspect an image', INSPECT_MS, () => this.docker.getImage(image).inspect());
      return facts(image, info);
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw engineFault(`inspect image ${image}`, error);
    }
  }

  async pull(image: string, login: RegistryLogin | undefined, onProgress: (line: string) => void): Promise<void> {
    try {
      const options = login === undefined ? {} : { authconfig: login };
      const stream = await within('begin a pull', this.bounds.start, async () => (await this.docker.pull(image, options)) as Readable);
      await finished(stream, onProgress, this.bounds);
    } catch (error) {
      if (isDiskFull(error)) throw diskFull(`image ${image} cannot be pulled`, error);
      throw notPulled(image, error);
    }
  }

  async resolve(image: string, login: RegistryLogin | undefined): Promise<string> {
    try {
      const options = { authconfig: login ?? {} };
      const { Descriptor } = await within('ask a registry', RESOLVE_MS, (abortSignal) =>
        this.docker.getImage(image).distribution({ ...options, abortSignal }),
      );
      return `${image.replace(/:[^:/]+$/, '')}@${Descriptor.digest}`;
    } catch (error) {
      throw notPulled(image, error);
    }
  }

  async hold(id: string): Promise<void> {
    const name = { repo: holdName(this.node), tag: holdTag(id) };
    try {
      await within('name an image', HOLD_MS, (abortSignal) => this.docker.getImage(id).tag({ ...name, abortSignal }));
    } catch (error) {
      throw engineFault(`name image ${id}`, error);
    }
  }
}

function notPulled(image: string, error: unknown): KilnError {
  return new KilnError('start_failed', `image ${image} cannot be pulled: ${(error as Error).message.trim()}`, {
    cause: error,
    fix: 'see that the reference is right and that this node may read from the registry',
  });
}

function facts(image: string, info: Dockerode.ImageInspectInfo): LocalImage {
  const config = info.Config;
  const kind: ImageKind = imageKind.catch('http').parse(config.Labels?.['kiln.kind']);
  return {
    id: info.Id,
    kind,
    ...pinning(image, info),
    entrypoint: list(config.Entrypoint),
    command: list(config.Cmd),
    workingDirectory: config.WorkingDir ?? '',
    port: onlyExposed(info),
    ours: isOurs(info.RepoTags ?? []),
    volumes: Object.keys((config.Volumes as Record<string, unknown> | null) ?? {}),
  };
}

function pinning(image: string, { Id, RepoDigests }: Dockerode.ImageInspectInfo): Pick<LocalImage, 'pinned' | 'maybePinned'> {
  if (image.includes('@')) return { pinned: image, maybePinned: false };
  const repository = image.replace(/:[^:/]+$/, '');
  const listed = (RepoDigests ?? []).find((digest) => digest.startsWith(`${familiar(repository)}@`));
  // An image that was built here has no digest; but with images in containerd, the digest is the image's own id.
  if (listed === undefined || isOurs([image])) return { pinned: undefined, maybePinned: false };
  if (listed.endsWith(`@${Id}`)) return { pinned: undefined, maybePinned: true };
  return { pinned: `${repository}${listed.slice(listed.indexOf('@'))}`, maybePinned: false };
}

/** The repository as the engine lists it. */
function familiar(repository: string): string {
  return repository.replace(/^docker\.io\//, '').replace(/^library\//, '');
}

function list(value: string | string[] | null | undefined): string[] {
  if (value === null || value === undefined) return [];
  return Array.isArray(value) ? value : [value];
}

/** Waits for the end of the progress stream, which is the end of the pull; a failure is an object in the stream. */
async function finished(stream: Readable, onProgress: (line: string) => void, bounds: typeof PULL_BOUNDS): Promise<void> {
  const progress = new PullProgress();
  let failure: string | undefined;
  const silence = setTimeout(() => stream.destroy(new Error(`no progress for ${bounds.silence / 1000} s`)), bounds.silence);
  const total = setTimeout(() => stream.destroy(new Error(`not done within ${bounds.total / 1000} s`)), bounds.total);
  const reporting = setInterval(() => onProgress(progress.line), PROGRESS_MS);
  try {
    for await (const step of jsonLinesOf(stream)) {
      silence.refresh();
      progress.add(step);
      failure = step.error ?? failure;
    }
  } finally {
    clearTimeout(silence);
    clearTimeout(total);
    clearInterval(reporting);
  }
  if (failure !== undefined) throw new Error(failure);
}
