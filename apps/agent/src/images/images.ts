import { KilnError } from '@kiln/contract/errors';
import type { ImageKind } from '@kiln/contract/kinds';
import { StartBackoff } from '@kiln/instances/start/start-backoff';
import { isImageId, registryOf } from '@kiln/registry/reference';
import type { Registries } from '@kiln/registry/registries';
import { LRUCache } from 'lru-cache';
import type { ImageEngine, LocalImage } from './image-engine.js';

const MAX_IMAGES = 500;
const MAX_USED = 10_000;

export interface ImagesParts {
  engine: ImageEngine;
  registries: Registries;
  /** Lines about pulls, for the node's log. */
  onLine?(line: string, keys?: object): void;
  onTrouble?(message: string, keys?: object): void;
  now?(): number;
}

/** The images of this node: finds and pulls them. */
export class Images {
  /** By reference. */
  private readonly found = new LRUCache<string, LocalImage>({ max: MAX_IMAGES });
  private readonly coming = new Map<string, Promise<LocalImage>>();
  private readonly failing = new LRUCache<string, StartBackoff>({ max: MAX_IMAGES });
  private readonly missing = new LRUCache<string, true>({ max: MAX_IMAGES });
  private readonly leaving = new Set<Promise<unknown>>();
  /** By id: when an instance was last made of it. */
  private readonly used = new LRUCache<string, number>({ max: MAX_USED });
  /** Tries to make room on the disk for one more image; ends within a bound and never rejects. */
  makeRoom: (() => Promise<void>) | undefined;

  constructor(private readonly parts: ImagesParts) {}

  /** Finds or pulls it: one pull at a time, after a failure only after a pause. @throws KilnError `start_failed` where it can't */
  async ensure(image: string): Promise<LocalImage> {
    const found = this.found.get(image);
    if (found !== undefined) {
      this.touch(found.id);
      return found;
    }
    return this.once(image, () => this.findOrPull(image));
  }

  /** The facts for a new version of this image, by digest, so that a tag may move later. */
  async facts(image: string): Promise<{ image: string; digest: string; kind: ImageKind; port?: number | undefined }> {
    const reference = await this.pinned(image);
    // A user asks for it: look again, and try without a pause.
    this.failing.delete(reference);
    this.forget(reference);
    const { id, kind, pinned, port } = await this.ensure(reference);
    return { image: pinned ?? id, digest: pinned?.slice(pinned.indexOf('@') + 1) ?? id, kind, port };
  }

  /** Holds an image that was built here. @throws KilnError `unavailable` where it is gone already */
  async keep(image: string): Promise<void> {
    const found = await this.parts.engine.find(image);
    if (found === undefined) throw new KilnError('unavailable', `image ${image} was removed in the meantime`, { fix: 'deploy again' });
    await this.parts.engine.hold(found.id);
    this.missing.delete(image);
    this.touch(found.id);
  }

  lastUsed(id: string): number | undefined {
    return this.used.peek(id);
  }

  /** Images that were built here, that a version needs, and that are gone. */
  get lost(): ReadonlySet<string> {
    return new Set(this.missing.keys());
  }

  /** Called where the engine has lost the image. */
  forget(image: string): void {
    this.found.delete(image);
  }

  /** Removes an image: a search for an image waits until the removal has ended. */
  async withdraw<T>(id: string, remove: () => Promise<T>): Promise<T> {
    for (const [image, local] of [...this.found.entries()]) if (local.id === id) this.found.delete(image);
    const leaving = remove();
    this.leaving.add(leaving);
    try {
      return await leaving;
    } finally {
      this.leaving.delete(leaving);
    }
  }

  /** Asks the registry for a tag that came from it: the tag may have moved since the pull. */
  private async pinned(image: string): Promise<string> {
    if (isImageId(image) || image.includes('@')) return image;
    const registry = registryOf(image);
    this.forget(image);
    const here = await this.parts.engine.find(image);
    if (here?.maybePinned) return (await this.pinnedIfThere(image, here.id).catch(() => undefined)) ?? image;
    // A tag without a registry, or of an image that was never in one, means the local image.
    if (here !== undefined && (registry === undefined || here.pinned === undefined)) return image;
    return await this.resolve(image);
  }

  /** A tag without a registry still means the local image. */
  private async pinnedIfThere(image: string, id: string): Promise<string | undefined> {
    const reference = await this.resolve(image);
    return registryOf(image) !== undefined || reference.endsWith(`@${id}`) ? reference : undefined;
  }

  private async resolve(image: string): Promise<string> {
    return this.parts.engine.resolve(image, await this.parts.registries.login(registryOf(image)).catch(throwAsStartFailure));
  }

  private once(image: string, get: () => Promise<LocalImage>): Promise<LocalImage> {
    let coming = this.coming.get(image);
    if (coming === undefined) {
      coming = get()
        .then((found) => {
          this.found.set(image, found);
          this.missing.delete(image);
          this.touch(found.id);
          return found;
        })
        .finally(() => this.coming.delete(image));
      this.coming.set(image, coming);
    }
    return coming;
  }

  private async findOrPull(image: string): Promise<LocalImage> {
    await Promise.allSettled(this.leaving);
    const found = await this.parts.engine.find(image);
    if (found?.ours) await this.hold(found.id);
    return found ?? (await this.pull(image));
  }

  private async pull(image: string): Promise<LocalImage> {
    if (isImageId(image)) {
      this.missing.set(image, true);
      const why = 'it was removed from the engine, or built on another node (several need KILN_REGISTRY)';
      throw new KilnError('start_failed', `image ${image} is not on this node: ${why}`, { fix: 'kiln deploy' });
    }
    const backoff = this.failing.get(image) ?? new StartBackoff(() => this.now());
    if (backoff.refusal !== undefined) throw backoff.refusal;
    try {
      await this.pullWithLogin(image);
      this.failing.delete(image);
    } catch (error) {
      const failure = asStartFailure(error);
      backoff.failed(failure);
      this.failing.set(image, backoff);
      throw failure;
    }
    const found = await this.parts.engine.find(image);
    if (found === undefined) throw new KilnError('start_failed', `image ${image} was pulled and is not there`);
    await this.hold(found.id);
    return found;
  }

  /** A failure is no error: the collector then never removes the image. */
  private async hold(id: string): Promise<void> {
    const { engine, onTrouble } = this.parts;
    await engine
      .hold(id)
      .catch((error: Error) => onTrouble?.('image could not be marked as held by this node', { image: id, error: error.message }));
  }

  private touch(id: string): void {
    this.used.set(id, this.now());
  }

  private now(): number {
    return this.parts.now?.() ?? performance.timeOrigin + performance.now();
  }

  private async pullWithLogin(image: string): Promise<void> {
    const { engine, registries, onLine } = this.parts;
    const say = (line: string) => onLine?.(`pull of ${image}: ${line}`);
    await this.makeRoom?.();
    say('begins');
    const began = performance.now();
    await registries.withLogin(registryOf(image), (login) => engine.pull(image, login, say));
    say(`done in ${Math.round(performance.now() - began)} ms`);
  }
}

/** A version that needs this image can't start, whatever the reason. */
function asStartFailure(error: unknown): KilnError {
  if (error instanceof KilnError && error.code !== 'unavailable') return error;
  const { message, fix } = error as KilnError;
  return new KilnError('start_failed', message, { cause: error, fix });
}

function throwAsStartFailure(error: unknown): never {
  throw asStartFailure(error);
}
