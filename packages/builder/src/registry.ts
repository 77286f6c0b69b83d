import { KilnError } from '@kiln/contract/errors';
import type Dockerode from 'dockerode';
import { engineError } from './engine-error.js';
import { progressOf } from './progress-lines.js';

export interface Registry {
  /** `host[:port]`, with the path that goes before every repository: `registry:5000/kiln`. */
  host: string;
  auth?: { username: string; password: string };
}

export interface Pushed {
  /** The reference that every node pulls, pinned. */
  image: string;
  digest: string;
}

/** @throws KilnError `unavailable` where the registry does not take the image. */
export async function push(
  docker: Dockerode,
  local: { image: string; name: string; tag: string },
  registry: Registry,
  onLine: (line: string) => void,
  signal: AbortSignal,
): Promise<Pushed> {
  const repository = `${registry.host.replace(/\/+$/, '')}/${local.name}`;
  onLine(`pushing ${repository}:${local.tag}`);
  try {
    await docker.getImage(local.image).tag({ repo: repository, tag: local.tag });
    const digest = await pushed(docker, `${repository}:${local.tag}`, registry, signal);
    return { image: `${repository}@${digest}`, digest };
  } catch (error) {
    if (signal.aborted) throw error;
    throw engineError(`push to ${registry.host}`, error);
  }
}

async function pushed(docker: Dockerode, reference: string, registry: Registry, signal: AbortSignal): Promise<string> {
  // The engine wants a header with credentials even where there are none.
  const authconfig = registry.auth ?? { username: '', password: '' };
  const answer = await docker.getImage(reference).push({ authconfig, abortSignal: signal });
  let digest: string | undefined;
  for await (const { error, aux } of progressOf(answer as unknown as AsyncIterable<Buffer>)) {
    if (error !== undefined) throw new KilnError('unavailable', `push to ${registry.host}: ${error}`);
    digest = aux?.Digest ?? digest;
  }
  if (digest === undefined) throw new KilnError('unavailable', `push to ${registry.host}: the registry named no digest`);
  return digest;
}
