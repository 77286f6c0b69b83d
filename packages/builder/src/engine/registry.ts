import { KilnError } from '@kiln/contract/errors';
import { engineError } from '@kiln/engine/engine-error';
import { jsonLinesOf } from '@kiln/engine/json-lines';
import { discardImage } from '@kiln/engine/remove';
import type { RegistryLogin } from '@kiln/registry/login';
import { splitPrefix } from '@kiln/registry/reference';
import type { Registries } from '@kiln/registry/registries';
import { type EngineRun, imageId } from './base-image.js';

/** A push reports its progress so often. */
const PROGRESS_MS = 5000;

export interface Registry {
  /** `host[:port]` and the path in front of every repository: `registry:5000/kiln`. */
  prefix: string;
  /** Logins, and preparation of repositories. */
  registries: Registries;
}

export interface Pushed {
  /** Reference by digest, which every node pulls. */
  image: string;
  digest: string;
}

interface LocalImage {
  image: string;
  name: string;
  tag: string;
}

/** Pushes an image as `<prefix>/<name>:<tag>`. @throws KilnError `unavailable` where the registry does not take it */
export async function push(run: EngineRun, local: LocalImage, { prefix, registries }: Registry): Promise<Pushed> {
  const { docker, onLine, signal } = run;
  const { registry, path } = splitPrefix(prefix);
  const name = path === '' ? local.name : `${path}/${local.name}`;
  const repository = `${registry}/${name}`;
  const reference = `${repository}:${local.tag}`;
  onLine(`pushing ${reference}`);
  await registries.prepare(registry, name);
  const hadName = (await imageId(docker, reference)) === local.image;
  try {
    await docker.getImage(local.image).tag({ repo: repository, tag: local.tag });
    const digest = await registries.withLogin(registry, (login) => pushWith(run, registry, reference, login), signal);
    onLine(`pushed ${repository}@${digest}`);
    return { image: `${repository}@${digest}`, digest };
  } catch (error) {
    if (!hadName) await discardImage(docker, reference);
    if (signal.aborted) throw error;
    throw engineError(`push to ${registry}`, error);
  }
}

async function pushWith(run: EngineRun, registry: string, reference: string, login?: RegistryLogin): Promise<string> {
  const { docker, onLine, signal } = run;
  // The engine needs a header with credentials even where there are none.
  const authconfig = login ?? { username: '', password: '' };
  const image = docker.getImage(reference);
  const answer = await image.push({ authconfig, abortSignal: signal });
  const layers = new Map<string, boolean>();
  let reportedAt = performance.now();
  let digest: string | undefined;
  for await (const { error, aux, id, status } of jsonLinesOf(answer as unknown as AsyncIterable<Buffer>)) {
    if (error !== undefined) throw refused(registry, error);
    digest = aux?.Digest ?? digest;
    if (id !== undefined && status !== undefined && /^[0-9a-f]{12}$/.test(id))
      layers.set(id, /^(Pushed|Layer already|Mounted)/.test(status));
    if (performance.now() - reportedAt < PROGRESS_MS) continue;
    reportedAt = performance.now();
    onLine(`${[...layers.values()].filter(Boolean).length} of ${layers.size} layers are pushed`);
  }
  // An engine with its images in containerd does not report the digest of a push; the registry knows it.
  digest ??= (await image.distribution({ authconfig, abortSignal: signal })).Descriptor.digest;
  if (!/^sha256:[0-9a-f]{64}$/.test(digest)) throw new KilnError('unavailable', `push to ${registry}: the registry named no digest`);
  return digest;
}

function refused(registry: string, error: string): KilnError {
  const needsLogin = /unauthorized|denied|no basic auth|authentication required/i.test(error);
  const fix = needsLogin ? `give the node a login for ${registry}: KILN_REGISTRY_AUTH` : undefined;
  return new KilnError('unavailable', `push to ${registry}: ${error}`, { fix });
}
