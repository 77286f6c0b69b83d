import { KilnError } from '@kiln/contract/errors';
import type { ImageKind } from '@kiln/contract/function-config';
import type { ImageEngine, LocalImage } from './image-engine.js';
import { isImageId, registryOf } from './image-reference.js';
import type { RegistryLogins } from './registry-logins.js';

const MAX_KNOWN = 500;

/** The images of this node: what they are, and getting them here. */
export class Images {
  /** By reference; the one used longest ago goes first. */
  private readonly known = new Map<string, LocalImage>();
  private readonly coming = new Map<string, Promise<LocalImage>>();

  constructor(
    private readonly engine: ImageEngine,
    private readonly logins: RegistryLogins,
  ) {}

  /**
   * The image, pulled where this node does not have it; never twice at once.
   * @throws KilnError `start_failed` where it can't be had
   */
  async ensure(image: string): Promise<LocalImage> {
    const known = this.known.get(image);
    if (known !== undefined) {
      this.known.delete(image);
      this.known.set(image, known);
      return known;
    }
    let coming = this.coming.get(image);
    if (coming === undefined) {
      coming = this.fetch(image).finally(() => this.coming.delete(image));
      this.coming.set(image, coming);
    }
    return coming;
  }

  /** What a version of this image would be made from: pinned, so that a tag that moves changes nothing. */
  async facts(image: string): Promise<{ image: string; digest: string; kind: ImageKind }> {
    // A tag may have moved since it was seen last.
    if (!image.includes('@')) this.forget(image);
    const { id, kind, pinned } = await this.ensure(image);
    return { image: pinned ?? id, digest: pinned?.slice(pinned.indexOf('@') + 1) ?? id, kind };
  }

  /** The engine turned out not to have it any more. */
  forget(image: string): void {
    this.known.delete(image);
  }

  private async fetch(image: string): Promise<LocalImage> {
    const found = (await this.engine.find(image)) ?? (await this.pull(image));
    this.known.set(image, found);
    for (const oldest of this.known.keys()) {
      if (this.known.size <= MAX_KNOWN) break;
      this.known.delete(oldest);
    }
    return found;
  }

  private async pull(image: string): Promise<LocalImage> {
    if (isImageId(image)) {
      throw new KilnError('start_failed', `image ${image} is not on this node`, {
        fix: 'deploy again; several machines need KILN_REGISTRY',
      });
    }
    const registry = registryOf(image);
    try {
      await this.engine.pull(image, await this.logins.of(registry));
    } catch (error) {
      // Once more with a new login: tokens have been seen to end early.
      this.logins.forget(registry);
      const login = await this.logins.of(registry);
      if (login === undefined) throw error;
      await this.engine.pull(image, login);
    }
    const found = await this.engine.find(image);
    if (found === undefined) throw new KilnError('start_failed', `image ${image} was pulled and is not there`);
    return found;
  }
}
