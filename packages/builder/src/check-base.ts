import { KilnError } from '@kiln/contract/errors';
import type Dockerode from 'dockerode';
import { remoteSources } from './detect/dockerfile.js';
import { imagesOfTriggers } from './dockerfile/dockerfile-images.js';

const OWN_NAME = /^(?:(?:docker\.io|index\.docker\.io|registry-1\.docker\.io)\/)?kiln(?:-held)?\//i;

/** @throws KilnError `bad_request` for a name under which only images of functions are */
export function checkBaseName(reference: string): void {
  if (OWN_NAME.test(reference)) throw anotherFunctions(reference);
}

/**
 * What a folder's own Dockerfile may build on: no function's image, which is whoever's who deployed it, and nothing that has the engine
 * fetch from the machine's own network.
 * @returns images that its triggers copy from, to be looked at like it
 * @throws KilnError `bad_request`
 */
export async function checkBase(docker: Dockerode, reference: string, id: string): Promise<string[]> {
  const { Config } = await docker.getImage(id).inspect();
  if (Config.Labels?.['kiln.kind'] !== undefined) throw anotherFunctions(reference);
  // By its id an image is found that has no name, as those on the way to a function's.
  if (id.replace('sha256:', '').startsWith(reference.replace(/^sha256:/i, '').toLowerCase()))
    throw refusal(`${reference} is the id of an image`, 'name it, and its digest where it must be that one');
  const triggers = Config.OnBuild ?? [];
  const [remote] = remoteSources(triggers.map((trigger) => `ONBUILD ${trigger}`).join('\n'));
  if (remote === undefined) return imagesOfTriggers(triggers);
  throw refusal(
    `${reference} has ONBUILD ADD ${remote}: the engine itself would fetch it, from wherever the machine can reach`,
    'take a base image without it',
  );
}

function anotherFunctions(reference: string): KilnError {
  return refusal(`${reference} is the image of a function, and no base for another`, 'name the image that it was built on');
}

function refusal(why: string, fix: string): KilnError {
  return new KilnError('bad_request', `Dockerfile: ${why}`, { fix });
}
