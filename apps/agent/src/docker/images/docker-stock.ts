import { statusOf } from '@kiln/engine/engine-error';
import type { RegistryLogin } from '@kiln/registry/login';
import type Dockerode from 'dockerode';
import type { ImageStock, StockedImage } from '../../images/image-stock.js';
import { holdName } from '../../images/own-references.js';
import { engineFault, within } from '../deadline.js';

const LIST_MS = 60_000;
/** The removal of a large image on a busy disk takes long. */
const REMOVE_MS = 60_000;
const ASK_MS = 20_000;

/** The images of a Docker engine that this node holds, and their removal. */
export class DockerStock implements ImageStock {
  constructor(
    private readonly docker: Dockerode,
    private readonly node: string,
  ) {}

  async held(): Promise<StockedImage[]> {
    const all = await within('list images', LIST_MS, (abortSignal) => this.docker.listImages({ abortSignal }));
    return all
      .map(({ Id, RepoTags, RepoDigests }) => ({
        id: Id,
        tags: named(RepoTags),
        digests: digestsOf(Id, named(RepoTags), named(RepoDigests)),
      }))
      .filter(({ tags }) => tags.some((tag) => tag.startsWith(`${holdName(this.node)}:`)));
  }

  async used(): Promise<ReadonlySet<string>> {
    const all = await within('list containers', LIST_MS, (abortSignal) => this.docker.listContainers({ all: true, abortSignal }));
    return new Set(all.map(({ ImageID }) => ImageID));
  }

  async remove(reference: string): Promise<'removed' | 'in use'> {
    try {
      await within('remove an image', REMOVE_MS, (abortSignal) => this.docker.getImage(reference).remove({ abortSignal }));
    } catch (error) {
      if (statusOf(error) === 409) return 'in use';
      if (statusOf(error) !== 404) throw engineFault(`remove ${reference}`, error);
    }
    return 'removed';
  }

  async isElsewhere(reference: string, login: RegistryLogin | undefined): Promise<boolean> {
    try {
      const authconfig = login ?? {};
      await within('ask a registry', ASK_MS, (abortSignal) => this.docker.getImage(reference).distribution({ authconfig, abortSignal }));
      return true;
    } catch {
      // The registry does not have it, or does not answer: this may be the only copy.
      return false;
    }
  }
}

/** With images in containerd, an engine lists only one of several digests; each of them is the image's own id. */
function digestsOf(id: string, tags: readonly string[], listed: readonly string[]): string[] {
  if (!listed.some((digest) => digest.endsWith(`@${id}`))) return [...listed];
  return [...new Set([...listed, ...tags.map((tag) => `${tag.replace(/:[^:/]+$/, '')}@${id}`)])];
}

function named(references: readonly string[] | null | undefined): string[] {
  return (references ?? []).filter((reference) => !reference.includes('<none>'));
}
