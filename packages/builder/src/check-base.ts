import type { KilnError } from '@kiln/contract/errors';
import type Dockerode from 'dockerode';
import { remoteSources } from './detect/dockerfile.js';
import { imagesOfTriggers } from './dockerfile/dockerfile-images.js';
import { dockerfileRefusal } from './dockerfile/dockerfile-text.js';

const OWN_NAME = /^(?:(?:docker\.io|index\.docker\.io|registry-1\.docker\.io)\/)?kiln(?:-held)?\//i;

/** @throws KilnError `bad_request` for a name that only images of functions have */
export function checkBaseName(reference: string): void {
  if (OWN_NAME.test(reference)) throw anotherFunctions(reference);
}

/**
 * Refuses a base image for a folder's own Dockerfile where it is the image of a function, which may belong to somebody else, or has
 * a trigger by which the engine fetches from the machine's own network.
 * @returns images from which its triggers copy; the caller checks them too
 * @throws KilnError `bad_request`
 */
export async function checkBase(docker: Dockerode, reference: string, id: string): Promise<string[]> {
  const { Config } = await docker.getImage(id).inspect();
  if (Config.Labels?.['kiln.kind'] !== undefined) throw anotherFunctions(reference);
  // An id also finds images without a name, as the intermediate images of a function.
  if (id.replace('sha256:', '').startsWith(reference.replace(/^sha256:/i, '').toLowerCase()))
    throw dockerfileRefusal(`${reference} is the id of an image`, 'name it, and its digest where it must be that one');
  const triggers = Config.OnBuild ?? [];
  const [remote] = remoteSources(triggers.map((trigger) => `ONBUILD ${trigger}`).join('\n'));
  if (remote === undefined) return imagesOfTriggers(triggers);
  const why = `${reference} has ONBUILD ADD ${remote}: the engine itself would fetch it, from wherever the machine can reach`;
  throw dockerfileRefusal(why, 'take a base image without it');
}

function anotherFunctions(reference: string): KilnError {
  return dockerfileRefusal(`${reference} is the image of a function, and no base for another`, 'name the image that it was built on');
}
