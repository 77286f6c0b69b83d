import { KilnError } from '@kiln/contract/errors';
import type { ImageKind } from '@kiln/contract/function-config';
import { isImageId, registryOf } from '@kiln/registry/reference';
import type { Registries } from '@kiln/registry/registries';
import { StartBackoff } from '../pool/start-backoff.js';
import type { ImageEngine, LocalImage } from './image-engine.js';

const MAX_KNOWN = 500;

export interface ImagesParts {
  engine: ImageEngine;
  registries: Registries;
  /** Lines about pulls, for the node's log. */
  onLine?(line: string): void;
  now?(): number;
}

/** The images of this node: what they are, and getting them here. */
export class Images {
  /** By reference; the one used longest ago goes first. */
  private readonly known = new Map<string, LocalImage>();
  private readonly coming = new Map<string, Promise<LocalImage>>();
  private readonly failing = new Map<string, StartBackoff>();

  constructor(private readonly parts: ImagesParts) {}

  /**
   * The image, pulled where this node does not have it; never twice at once, and after a failure not again at once.
   * @throws KilnError `start_failed` where it can't be had
   */
  async ensure(image: string): Promise<LocalImage> {
    const known = this.known.get(image);
    if (known !== undefined) {
      this.known.delete(image);
      this.known.set(image, known);
      return known;
    }
    return this.once(image, () => this.findOrPull(image));
  }

  /** What a version of this image would be made from: pinned, so that a tag that moves changes nothing. */
  async facts(image: string): Promise<{ image: string; digest: string; kind: ImageKind }> {
    // Somebody asks, so it is tried at once; and a registry's tag may have moved since it was here last.
    this.failing.delete(image);
    const mayHaveMoved = !image.includes('@');
    if (mayHaveMoved) this.forget(image);
    const found = mayHaveMoved && registryOf(image) !== undefined ? this.once(image, () => this.pull(image)) : this.ensure(image);
    const { id, kind, pinned } = await found;
    return { image: pinned ?? id, digest: pinned?.slice(pinned.indexOf('@') + 1) ?? id, kind };
  }

  /** The engine turned out not to have it any more. */
  forget(image: string): void {
    this.known.delete(image);
  }

  private once(image: string, get: () => Promise<LocalImage>): Promise<LocalImage> {
    let coming = this.coming.get(image);
    if (coming === undefined) {
      coming = get()
        .then((found) => {
          this.known.set(image, found);
          dropOldest(this.known);
          return found;
        })
        .finally(() => this.coming.delete(image));
      this.coming.set(image, coming);
    }
    return coming;
  }

  private async findOrPull(image: string): Promise<LocalImage> {
    return (await this.parts.engine.find(image)) ?? (await this.pull(image));
  }

  private async pull(image: string): Promise<LocalImage> {
    if (isImageId(image)) {
      throw new KilnError('start_failed', `image ${image} is not on this node`, {
        fix: 'deploy again; several machines need KILN_REGISTRY',
      });
    }
    const backoff = this.failing.get(image) ?? new StartBackoff(this.parts.now ?? (() => performance.now()));
    if (backoff.refusal !== undefined) throw backoff.refusal;
    try {
      await this.pullWithLogin(image);
      this.failing.delete(image);
    } catch (error) {
      const failure = asStartFailure(error);
      backoff.failed(failure);
      this.failing.set(image, backoff);
      dropOldest(this.failing);
      throw failure;
    }
    const found = await this.parts.engine.find(image);
    if (found === undefined) throw new KilnError('start_failed', `image ${image} was pulled and is not there`);
    return found;
  }

  private async pullWithLogin(image: string): Promise<void> {
    const { engine, registries, onLine = () => undefined } = this.parts;
    const registry = registryOf(image);
    const say = (line: string) => onLine(`pull of ${image}: ${line}`);
    const pullOnce = async () => engine.pull(image, await registries.login(registry), say);
    say('begins');
    const began = performance.now();
    await pullOnce().catch((error: unknown) => {
      // Once more with a new login: tokens have been seen to end early.
      if (!registries.logins.forget(registry)) throw error;
      return pullOnce();
    });
    say(`done in ${Math.round(performance.now() - began)} ms`);
  }
}

/** A version that waits for this image can't start: whatever kept it from coming. */
function asStartFailure(error: unknown): KilnError {
  if (error instanceof KilnError && error.code !== 'unavailable') return error;
  const { message, fix } = error as KilnError;
  return new KilnError('start_failed', message, { cause: error, ...(fix !== undefined && { fix }) });
}

function dropOldest(map: Map<string, unknown>): void {
  for (const oldest of map.keys()) {
    if (map.size <= MAX_KNOWN) break;
    map.delete(oldest);
  }
}
