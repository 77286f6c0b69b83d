import { KilnError } from '@kiln/contract/errors';
import { engineError, isNotFound } from '@kiln/engine/engine-error';
import { progressOf } from '@kiln/engine/progress-lines';
import type { RegistryLogin } from '@kiln/registry/login';
import { registryOf } from '@kiln/registry/reference';
import type { Registries } from '@kiln/registry/registries';
import type Dockerode from 'dockerode';

const PULL_TIME_MS = 180_000;
const MAX_REASON = 1000;

/**
 * The id of an image that the engine has, or pulls now.
 * @throws KilnError naming the image.
 */
export async function ensureImage(
  docker: Dockerode,
  reference: string,
  onLine: (line: string) => void,
  signal: AbortSignal,
  registries?: Registries,
): Promise<string> {
  const there = await imageId(docker, reference);
  if (there !== undefined) return there;
  onLine(`pulling ${reference}`);
  const authconfig = await registries?.login(registryOf(reference));
  await pull(docker, reference, authconfig, AbortSignal.any([signal, AbortSignal.timeout(PULL_TIME_MS)]), signal);
  const pulled = await imageId(docker, reference);
  if (pulled !== undefined) return pulled;
  throw notThere(reference, 'the engine does not have it after the pull');
}

export async function imageId(docker: Dockerode, reference: string): Promise<string | undefined> {
  try {
    return (await docker.getImage(reference).inspect()).Id;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw engineError(`image ${reference}`, error);
  }
}

async function pull(
  docker: Dockerode,
  reference: string,
  authconfig: RegistryLogin | undefined,
  bounded: AbortSignal,
  signal: AbortSignal,
): Promise<void> {
  try {
    const answer = (await docker.pull(reference, {
      abortSignal: bounded,
      ...(authconfig !== undefined && { authconfig }),
    })) as AsyncIterable<Buffer>;
    for await (const { error } of progressOf(answer)) if (error !== undefined) throw notThere(reference, error);
  } catch (error) {
    if (signal.aborted || error instanceof KilnError) throw error;
    throw notThere(reference, bounded.aborted ? `not pulled within ${PULL_TIME_MS / 1000} s` : (error as Error).message.trim());
  }
}

/** What a registry says of an image that it does not have, or that this node may not have; all else is the way to it. */
const IS_NOT_THERE =
  /manifest unknown|manifest for .* not found|repository .* not found|does not exist|access denied|unauthorized|invalid reference/i;

export function notThere(reference: string, why: string): KilnError {
  const message = `base image ${reference} can't be pulled: ${why}`;
  if (IS_NOT_THERE.test(why.slice(0, MAX_REASON))) {
    return new KilnError('bad_request', message, {
      fix: `correct the name of the image, or give the node a login for its registry; docker pull ${reference} tries it`,
    });
  }
  return new KilnError('unavailable', message, {
    fix: `nothing is wrong with the folder: the node does not reach the registry; deploy again when docker pull ${reference} works there, or load the image: node scripts/base-images.mjs ${reference}`,
  });
}
