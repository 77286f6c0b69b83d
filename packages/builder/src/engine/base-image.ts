import { KilnError } from '@kiln/contract/errors';
import { engineError, statusOf } from '@kiln/engine/engine-error';
import { jsonLinesOf } from '@kiln/engine/json-lines';
import type { RegistryLogin } from '@kiln/registry/login';
import { registryOf } from '@kiln/registry/reference';
import type { Registries } from '@kiln/registry/registries';
import type Dockerode from 'dockerode';

const PULL_TIME_MS = 180_000;
const MAX_REASON = 1000;

/** Where a build runs, and where its output goes. */
export interface EngineRun {
  docker: Dockerode;
  onLine(line: string): void;
  signal: AbortSignal;
}

/** The id of an image; the engine pulls the image where it does not have it. @throws KilnError that names the image */
export async function ensureImage(run: EngineRun, reference: string, registries?: Registries): Promise<string> {
  const present = await imageId(run.docker, reference);
  if (present !== undefined) return present;
  run.onLine(`pulling ${reference}`);
  await pull(run, reference, await registries?.login(registryOf(reference)));
  const pulled = await imageId(run.docker, reference);
  if (pulled !== undefined) return pulled;
  throw notPulled(reference, 'the engine does not have it after the pull');
}

export async function imageId(docker: Dockerode, reference: string): Promise<string | undefined> {
  try {
    return (await docker.getImage(reference).inspect()).Id;
  } catch (error) {
    if (statusOf(error) === 404) return undefined;
    throw engineError(`image ${reference}`, error);
  }
}

async function pull({ docker, signal }: EngineRun, reference: string, authconfig: RegistryLogin | undefined): Promise<void> {
  const timeout = AbortSignal.timeout(PULL_TIME_MS);
  const options = { abortSignal: AbortSignal.any([signal, timeout]), ...(authconfig !== undefined && { authconfig }) };
  try {
    const answer = (await docker.pull(reference, options)) as AsyncIterable<Buffer>;
    for await (const { error } of jsonLinesOf(answer)) if (error !== undefined) throw notPulled(reference, error);
  } catch (error) {
    if (signal.aborted || error instanceof KilnError) throw error;
    throw notPulled(reference, timeout.aborted ? `not pulled within ${PULL_TIME_MS / 1000} s` : (error as Error).message.trim());
  }
}

/** The registry does not have the image, or refuses it to this node. Any other message is a fault of the connection. */
const REFUSED =
  /manifest unknown|manifest for .* not found|repository .* not found|does not exist|access denied|unauthorized|invalid reference/i;

export function notPulled(reference: string, why: string): KilnError {
  const message = `base image ${reference} can't be pulled: ${why}`;
  if (REFUSED.test(why.slice(0, MAX_REASON))) {
    return new KilnError('bad_request', message, {
      fix: `correct the name of the image, or give the node a login for its registry; docker pull ${reference} tries it`,
    });
  }
  return new KilnError('unavailable', message, {
    fix: `nothing is wrong with the folder: the node does not reach the registry; deploy again when docker pull ${reference} works there, or load the image: node scripts/base-images.mjs ${reference}`,
  });
}
