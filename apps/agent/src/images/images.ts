import { KilnError } from '@kiln/contract/errors';
import type { ImageKind } from '@kiln/contract/kinds';
import { StartBackoff } from '@kiln/instances/start/start-backoff';
import { isImageId, registryOf } from '@kiln/registry/reference';
import type { Registries } from '@kiln/registry/registries';
import type { ImageEngine, LocalImage } from './image-engine.js';

const MAX_KNOWN = 500;
const MAX_USED = 10_000;

export interface ImagesParts {
  engine: ImageEngine;
  registries: Registries;
  /** Lines about pulls, for the node's log. */
  onLine?(line: string): void;
  onTrouble?(message: string): void;
  now?(): number;
}

/** The images of this node: what they are, and getting them here. */
export class Images {
  /** By reference; the one used longest ago goes first. */
  private readonly known = new Map<string, LocalImage>();
  private readonly coming = new Map<string, Promise<LocalImage>>();
  private readonly failing = new Map<string, StartBackoff>();
  /** Built here, asked for, and gone. */
  readonly lost = new Set<string>();
  private readonly leaving = new Set<Promise<unknown>>();
  /** By id: when an instance was last made of it. */
  private readonly used = new Map<string, number>();
  /** Sees to it, as far as it can, that there is room for one more; ends within a bound and never rejects. */
  makeRoom: (() => Promise<void>) | undefined;

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
      this.touch(known.id);
      return known;
    }
    return this.once(image, () => this.findOrPull(image));
  }

  /** What a version of this image would be made from: pinned, so that a tag that moves changes nothing. */
  async facts(image: string): Promise<{ image: string; digest: string; kind: ImageKind }> {
    const reference = await this.pinned(image);
    // Somebody asks for it: it is tried at once.
    this.failing.delete(reference);
    const { id, kind, pinned } = await this.ensure(reference);
    return { image: pinned ?? id, digest: pinned?.slice(pinned.indexOf('@') + 1) ?? id, kind };
  }

  /** One that was built here: this node holds it from now on. @throws KilnError `unavailable` where it is gone already */
  async keep(image: string): Promise<void> {
    const found = await this.parts.engine.find(image);
    if (found === undefined) throw new KilnError('unavailable', `image ${image} was removed meanwhile`, { fix: 'deploy again' });
    await this.parts.engine.hold(found.id);
    this.touch(found.id);
  }

  lastUsed(id: string): number | undefined {
    return this.used.get(id);
  }

  /** The engine turned out not to have it any more. */
  forget(image: string): void {
    this.known.delete(image);
  }

  /** Lets an image go: whoever asks for one meanwhile waits until it is known what is left. */
  async withdraw<T>(id: string, remove: () => Promise<T>): Promise<T> {
    for (const [image, local] of this.known) if (local.id === id) this.known.delete(image);
    const leaving = remove();
    this.leaving.add(leaving);
    try {
      return await leaving;
    } finally {
      this.leaving.delete(leaving);
    }
  }

  /** A tag that came from a registry is looked up there: it may have moved since it was here. */
  private async pinned(image: string): Promise<string> {
    if (isImageId(image) || image.includes('@')) return image;
    const registry = registryOf(image);
    this.forget(image);
    const here = await this.parts.engine.find(image);
    if (here?.maybePinned) return (await this.pinnedIfThere(image, here.id).catch(() => undefined)) ?? image;
    // A tag without a registry's name, or of an image that was in none, means what it means here.
    if (here !== undefined && (registry === undefined || here.pinned === undefined)) return image;
    return await this.resolve(image);
  }

  /** A tag without a registry's name still means what it means here. */
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
          this.known.set(image, found);
          this.lost.delete(image);
          dropOldest(this.known, MAX_KNOWN);
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
      this.lost.add(image);
      dropOldest(this.lost, MAX_KNOWN);
      throw new KilnError('start_failed', `image ${image} is not on this node`, {
        fix: 'kiln deploy --force builds it again; several machines need KILN_REGISTRY',
      });
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
      dropOldest(this.failing, MAX_KNOWN);
      throw failure;
    }
    const found = await this.parts.engine.find(image);
    if (found === undefined) throw new KilnError('start_failed', `image ${image} was pulled and is not there`);
    await this.hold(found.id);
    return found;
  }

  /** Without it the image is only never collected. */
  private async hold(id: string): Promise<void> {
    const { engine, onTrouble = () => undefined } = this.parts;
    await engine.hold(id).catch((error: Error) => onTrouble(`image ${id} could not be marked as held by this node: ${error.message}`));
  }

  private touch(id: string): void {
    this.used.delete(id);
    this.used.set(id, this.now());
    dropOldest(this.used, MAX_USED);
  }

  private now(): number {
    return this.parts.now?.() ?? performance.timeOrigin + performance.now();
  }

  private async pullWithLogin(image: string): Promise<void> {
    const { engine, registries, onLine = () => undefined } = this.parts;
    const registry = registryOf(image);
    const say = (line: string) => onLine(`pull of ${image}: ${line}`);
    const pullOnce = async () => engine.pull(image, await registries.login(registry), say);
    await this.makeRoom?.();
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

function throwAsStartFailure(error: unknown): never {
  throw asStartFailure(error);
}

function dropOldest(map: Map<string, unknown> | Set<string>, most: number): void {
  for (const oldest of map.keys()) {
    if (map.size <= most) break;
    map.delete(oldest);
  }
}
