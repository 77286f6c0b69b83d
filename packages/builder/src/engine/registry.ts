import { KilnError } from '@kiln/contract/errors';
import { engineError } from '@kiln/engine/engine-error';
import { progressOf } from '@kiln/engine/progress-lines';
import { splitPrefix } from '@kiln/registry/reference';
import type { Registries } from '@kiln/registry/registries';
import type Dockerode from 'dockerode';
import { imageId } from './base-image.js';

/** How often a push says how far it is. */
const SAY_EVERY_MS = 5000;
const REMOVE_MS = 15_000;

export interface Registry {
  /** `host[:port]`, with the path that goes before every repository: `registry:5000/kiln`. */
  prefix: string;
  /** Who knows the way in. */
  registries: Registries;
}

export interface Pushed {
  /** The reference that every node pulls, pinned. */
  image: string;
  digest: string;
}

interface LocalImage {
  image: string;
  name: string;
  tag: string;
}

/**
 * Pushes an image that this engine has, as `<prefix>/<name>:<tag>`, with the login and the repository that the registry wants.
 * @throws KilnError `unavailable` where the registry does not take the image.
 */
export async function push(
  docker: Dockerode,
  local: LocalImage,
  { prefix, registries }: Registry,
  onLine: (line: string) => void,
  signal: AbortSignal,
): Promise<Pushed> {
  const { registry, path } = splitPrefix(prefix);
  const name = path === '' ? local.name : `${path}/${local.name}`;
  const repository = `${registry}/${name}`;
  const reference = `${repository}:${local.tag}`;
  onLine(`pushing ${reference}`);
  await registries.prepare(registry, name);
  const pushOnce = () => pushWith(docker, { repository, tag: local.tag, registry }, registries, onLine, signal);
  const wasThere = (await imageId(docker, reference)) === local.image;
  try {
    await docker.getImage(local.image).tag({ repo: repository, tag: local.tag });
    // Once more with a new login: tokens have been seen to end early.
    const digest = await pushOnce().catch((error: unknown) => {
      if (signal.aborted || !registries.logins.forget(registry)) throw error;
      return pushOnce();
    });
    onLine(`pushed ${repository}@${digest}`);
    return { image: `${repository}@${digest}`, digest };
  } catch (error) {
    if (!wasThere) await removeName(docker, reference);
    if (signal.aborted) throw error;
    throw engineError(`push to ${registry}`, error);
  }
}

/** The name alone, where the image has another; with its last name the image goes. Never rejects. */
export async function removeName(docker: Dockerode, reference: string): Promise<void> {
  await docker
    .getImage(reference)
    .remove({ abortSignal: AbortSignal.timeout(REMOVE_MS) })
    .catch(() => undefined);
}

async function pushWith(
  docker: Dockerode,
  { repository, tag, registry }: { repository: string; tag: string; registry: string },
  registries: Registries,
  onLine: (line: string) => void,
  signal: AbortSignal,
): Promise<string> {
  // The engine wants a header with credentials even where there are none.
  const authconfig = (await registries.login(registry)) ?? { username: '', password: '' };
  const image = docker.getImage(`${repository}:${tag}`);
  const answer = await image.push({ authconfig, abortSignal: signal });
  const layers = new Map<string, boolean>();
  let said = performance.now();
  let digest: string | undefined;
  for await (const { error, aux, id, status } of progressOf(answer as unknown as AsyncIterable<Buffer>)) {
    if (error !== undefined) throw refused(registry, error);
    digest = aux?.Digest ?? digest;
    if (id !== undefined && status !== undefined && /^[0-9a-f]{12}$/.test(id))
      layers.set(id, /^(Pushed|Layer already|Mounted)/.test(status));
    if (performance.now() - said < SAY_EVERY_MS) continue;
    said = performance.now();
    onLine(`${[...layers.values()].filter(Boolean).length} of ${layers.size} layers are there`);
  }
  // An engine that keeps its images in containerd does not say the digest of what it pushed: the registry does.
  digest ??= (await image.distribution({ authconfig, abortSignal: signal })).Descriptor.digest;
  if (!/^sha256:[0-9a-f]{64}$/.test(digest)) throw new KilnError('unavailable', `push to ${registry}: the registry named no digest`);
  return digest;
}

function refused(registry: string, error: string): KilnError {
  const login = /unauthorized|denied|no basic auth|authentication required/i.test(error);
  return new KilnError(
    'unavailable',
    `push to ${registry}: ${error}`,
    login ? { fix: `give the node a login for ${registry}: KILN_REGISTRY_AUTH` } : {},
  );
}
