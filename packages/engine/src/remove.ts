import type Dockerode from 'dockerode';

const REMOVE_MS = 15_000;

/** Kills and removes a container. Never rejects: the node's sweep finds by its labels what is left. */
export async function discardContainer(container: Dockerode.Container): Promise<void> {
  await container.remove({ force: true, v: true, abortSignal: AbortSignal.timeout(REMOVE_MS) }).catch(() => undefined);
}

/** Removes one name of an image, and the image with its last name. Never rejects: an image in use stays. */
export async function discardImage(docker: Dockerode, reference: string, options: Dockerode.ImageRemoveOptions = {}): Promise<void> {
  const image = docker.getImage(reference);
  await image.remove({ ...options, abortSignal: AbortSignal.timeout(REMOVE_MS) }).catch(() => undefined);
}

/** Undefined where the engine does not have the image, or does not answer. */
export async function inspectImage(docker: Dockerode, reference: string): Promise<Dockerode.ImageInspectInfo | undefined> {
  const image = docker.getImage(reference);
  return await image.inspect().catch(() => undefined);
}
