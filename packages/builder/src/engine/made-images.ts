import { KilnError } from '@kiln/contract/errors';
import type Dockerode from 'dockerode';

const MAX_IMAGES = 1000;

/**
 * The images that one build made on its way, as the engine's output names them. Steps can print what looks the same, so nothing
 * said here is believed of an image that is older than the build or has a name.
 */
export class MadeImages {
  readonly #said = new Set<string>();
  /** Bytes of each that is this build's, without those below it. */
  readonly #sizes = new Map<string, number>();

  constructor(
    private readonly docker: Dockerode,
    private readonly since: number,
  ) {}

  /** @throws KilnError where a step floods the output with them */
  add(id: string): void {
    this.#said.add(id);
    if (this.#said.size > MAX_IMAGES) throw new KilnError('bad_request', `the build has more than ${MAX_IMAGES} steps`);
  }

  /** What they hold, all together. */
  async bytes(): Promise<number> {
    for (const id of this.#said) if (!this.#sizes.has(id)) this.#sizes.set(id, await this.#ownBytes(id));
    return [...this.#sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  /**
   * Of a build that failed: nobody would ever use them. One that the engine was about to make when it was told to stop is named
   * nowhere in its output; it is known by the container that it was made from.
   */
  async remove(containers: ReadonlySet<string>): Promise<void> {
    for (const { Id, Created } of await this.docker.listImages({ all: true, filters: { dangling: ['true'] } })) {
      if ((Created + 1) * 1000 < this.since) continue;
      const info = await this.#ours(Id);
      if (info !== undefined && containers.has(info.Container))
        await this.docker
          .getImage(Id)
          .remove({ noprune: true })
          .catch(() => undefined);
    }
    for (const id of [...this.#said].reverse()) {
      const info = await this.#ours(id);
      // One that another image or container needs by now stays: the engine sees to that.
      if (info !== undefined && info.RepoTags.length === 0)
        await this.docker
          .getImage(info.Id)
          .remove({ noprune: true })
          .catch(() => undefined);
    }
  }

  /** By its history, whose newest entry is its own: sizes of whole images mean other things where an engine keeps them in containerd. */
  async #ownBytes(id: string): Promise<number> {
    if ((await this.#ours(id)) === undefined) return 0;
    const [newest] = (await this.docker
      .getImage(id)
      .history()
      .catch(() => [])) as { Size?: number }[];
    return newest?.Size ?? 0;
  }

  async #ours(id: string): Promise<Dockerode.ImageInspectInfo | undefined> {
    const info = await this.docker
      .getImage(id)
      .inspect()
      .catch(() => undefined);
    return info !== undefined && Date.parse(info.Created) >= this.since ? info : undefined;
  }
}
