import { KilnError } from '@kiln/contract/errors';
import { discardImage, inspectImage } from '@kiln/engine/remove';
import type Dockerode from 'dockerode';

const MAX_IMAGES = 1000;

/** The intermediate images of one build, as its output names them. A step can print any name: an older or tagged image does not count. */
export class IntermediateImages {
  readonly #named = new Set<string>();
  /** Bytes of each image of this build, without the images below it. */
  readonly #sizes = new Map<string, number>();

  constructor(
    private readonly docker: Dockerode,
    private readonly since: number,
  ) {}

  /** @throws KilnError where the output names too many */
  add(id: string): void {
    this.#named.add(id);
    if (this.#named.size > MAX_IMAGES) throw new KilnError('bad_request', `the build has more than ${MAX_IMAGES} steps`);
  }

  /** Bytes of all of them together. */
  async bytes(): Promise<number> {
    for (const id of this.#named) if (!this.#sizes.has(id)) this.#sizes.set(id, await this.#ownBytes(id));
    return [...this.#sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  /** After a failed build. The output does not name an image that the engine was just making; the container of the step tells. */
  async remove(containers: ReadonlySet<string>): Promise<void> {
    for (const { Id, Created } of await this.docker.listImages({ all: true, filters: { dangling: ['true'] } })) {
      if ((Created + 1) * 1000 < this.since) continue;
      const info = await this.#ours(Id);
      if (info !== undefined && containers.has(info.Container)) await discardImage(this.docker, Id, { noprune: true });
    }
    for (const id of [...this.#named].reverse()) {
      const info = await this.#ours(id);
      // The engine keeps an image that another image or a container needs by now.
      if (info?.RepoTags.length === 0) await discardImage(this.docker, info.Id, { noprune: true });
    }
  }

  /** From the newest entry of its history: with images in containerd, an engine means another thing by the size of an image. */
  async #ownBytes(id: string): Promise<number> {
    if ((await this.#ours(id)) === undefined) return 0;
    const image = this.docker.getImage(id);
    const [newest] = (await image.history().catch(() => [])) as { Size?: number }[];
    return newest?.Size ?? 0;
  }

  async #ours(id: string): Promise<Dockerode.ImageInspectInfo | undefined> {
    const info = await inspectImage(this.docker, id);
    return info !== undefined && Date.parse(info.Created) >= this.since ? info : undefined;
  }
}
