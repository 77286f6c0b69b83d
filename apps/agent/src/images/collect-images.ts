import { setTimeout as delay } from 'node:timers/promises';
import type { VersionRecord } from '@kiln/contract/records/records';
import { isImageId, registryOf } from '@kiln/registry/reference';
import type { Registries } from '@kiln/registry/registries';
import { type Choice, chooseImages, type HeldImage } from './choose-images.js';
import type { ImageStock, StockedImage } from './image-stock.js';
import type { Images } from './images.js';
import { ownReferences } from './own-references.js';
import type { RegistryCleaner } from './registry-cleaner.js';

const LOOK_MS = 5000;
/** So long whoever brings an image waits for room; then it is tried as it is. */
const ROOM_MS = 10_000;
/** Without pressure, and under pressure when nothing more could be done; more often where the grace is shorter. */
const SWEEP_MS = 60_000;
/** In one go; then everything is looked at anew. */
const AT_ONCE = 50;

type Needed = Pick<VersionRecord, 'function' | 'version' | 'image' | 'createdAt'>;

export interface CollectorParts {
  node: string;
  /** `KILN_REGISTRY` */
  prefix: string | undefined;
  stock: ImageStock;
  images: Images;
  registries: Registries;
  cleaner: RegistryCleaner | undefined;
  /** In percent of the engine's disk. */
  marks: { high: number; low: number };
  graceMs: number;
  /** Every version there is. @throws KilnError `unavailable` while the store is away: then nothing is removed */
  versions(): Promise<readonly Needed[]>;
  /** Images that instances here are made of, or are about to be, as their versions name them. */
  running(): Iterable<string>;
  /** Used share of the engine's disk in percent; undefined where it can't be seen from here. */
  used: (() => Promise<number>) | undefined;
  now?(): number;
  onLine(line: string): void;
  onTrouble(message: string): void;
}

/** Keeps the engine's disk from filling up with images, and lets go of those whose versions were removed. */
export class ImageCollector {
  /** What is wrong for longer than a moment, for the node's warnings. */
  warning: string | undefined;
  /** What was seen last: used share of the disk, from 0 to 1, and how many images this node holds. Undefined where nothing was seen. */
  seen: { used?: number; held?: number } = {};
  readonly removed = { removed: 0, unneeded: 0, elsewhere: 0 } satisfies Record<Choice['why'], number>;
  private readonly unneededSince = new Map<string, number>();
  private pressed = false;
  private overHigh = false;
  private nextSweep = 0;
  private looking: Promise<void> | undefined;
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;

  constructor(private readonly parts: CollectorParts) {}

  start(): void {
    this.timer = setInterval(() => void this.look(), LOOK_MS);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearInterval(this.timer);
    await this.looking;
  }

  /** One look at a time. Never rejects. */
  look(): Promise<void> {
    this.looking ??= this.lookOnce()
      .catch((error: Error) => this.parts.onTrouble(`images could not be looked at: ${error.message}`))
      .finally(() => {
        this.looking = undefined;
      });
    return this.looking;
  }

  /** Before an image comes: without this, many that come at once would fill the disk between two looks. Never rejects. */
  async makeRoom(): Promise<void> {
    await Promise.race([this.look(), delay(ROOM_MS, undefined, { ref: false })]);
  }

  /** Something needs room, or a version may have gone: the next look is a whole one. */
  wake(): void {
    this.nextSweep = 0;
  }

  private async lookOnce(): Promise<void> {
    const wasPressed = this.pressed;
    await this.measure();
    if (!this.stopped && (this.now >= this.nextSweep || (this.pressed && !wasPressed))) await this.sweep();
  }

  private async sweep(): Promise<void> {
    this.nextSweep = this.now + Math.min(SWEEP_MS, this.parts.graceMs);
    let more = true;
    while (more && !this.stopped) more = await this.removeSome();
    this.warning = this.overHigh ? this.stillFull() : undefined;
  }

  /** True where there may be more to remove. */
  private async removeSome(): Promise<boolean> {
    const { stock, versions } = this.parts;
    const began = this.now;
    // The containers last: whoever started in between is among them.
    const [needed, held, used] = [await versions(), await stock.held(), await stock.used()];
    this.seen.held = held.length;
    const needs = new Needs(needed);
    const images = held.map((image) => this.described(image, needs, used));
    this.forgetUnneeded(held);
    const byId = new Map(held.map((image) => [image.id, image]));
    const choices = chooseImages({ images, now: began, graceMs: this.parts.graceMs, pressed: this.pressed });
    let removed = 0;
    for (const choice of choices) {
      if (this.stopped || removed >= AT_ONCE) break;
      if (choice.why !== 'removed' && !(await this.measure())) break;
      if (await this.remove(choice, byId.get(choice.id) as StockedImage, needs, began)) removed++;
    }
    return removed >= AT_ONCE;
  }

  private described(image: StockedImage, needs: Needs, used: ReadonlySet<string>): HeldImage {
    const { id } = image;
    const versions = needs.of(image);
    if (versions.length > 0) this.unneededSince.delete(id);
    else if (!this.unneededSince.has(id)) this.unneededSince.set(id, this.now);
    return {
      id,
      // After a restart nobody knows any more: then a version counts as used when it was made.
      lastUsed: Math.max(this.parts.images.lastUsed(id) ?? 0, ...versions.map(({ createdAt }) => Date.parse(createdAt))),
      unneededSince: this.unneededSince.get(id),
      inUse: used.has(id) || this.isRunning(image),
      elsewhere: versions.length > 0 && versions.every((version) => !isImageId(version.image)),
    };
  }

  private async remove({ id, why }: Choice, image: StockedImage, needs: Needs, since: number): Promise<boolean> {
    const { images, stock, node, prefix, cleaner, onLine, onTrouble } = this.parts;
    try {
      const versions = needs.of(image);
      if (why === 'elsewhere' && !(await this.isElsewhere(versions))) return false;
      // Decided and withdrawn in one step: from here on whoever needs it waits for the removal to end, and gets it anew.
      if (this.isRunning(image) || (images.lastUsed(id) ?? 0) >= since) return false;
      const gone = await images.withdraw(id, async () => {
        for (const reference of ownReferences(image, node, prefix)) if ((await stock.remove(reference)) === 'in use') return false;
        return true;
      });
      if (!gone) return false;
      this.removed[why]++;
      if (this.seen.held !== undefined) this.seen.held--;
      onLine(`removed image ${nameOf(image)}: ${REASONS[why]}`);
      if (why !== 'elsewhere') await cleaner?.clean(image, (digest) => needs.has(digest));
      return true;
    } catch (error) {
      onTrouble(`image ${nameOf(image)} could not be removed: ${(error as Error).message}`);
      return false;
    }
  }

  /** The registry is asked at the last moment: what it does not have any more stays here. */
  private async isElsewhere(versions: readonly Needed[]): Promise<boolean> {
    const { stock, registries } = this.parts;
    for (const { image } of versions) {
      if (!(await stock.isElsewhere(image, await registries.login(registryOf(image))))) return false;
    }
    return true;
  }

  private isRunning(image: StockedImage): boolean {
    const names = namesOf(image);
    for (const running of this.parts.running()) if (names.has(keyOf(running))) return true;
    return false;
  }

  /** Whether room is needed: from above the high mark until below the low one. */
  private async measure(): Promise<boolean> {
    const { used, marks } = this.parts;
    if (used === undefined) return false;
    const percent = await used();
    this.seen.used = percent / 100;
    if (percent > marks.high && !this.pressed) {
      this.pressed = true;
      this.parts.onLine(`the engine's disk is ${percent.toFixed(1)} % full: removing images until it is below ${marks.low} %`);
    } else if (percent < marks.low && this.pressed) {
      this.pressed = false;
      this.parts.onLine(`the engine's disk is ${percent.toFixed(1)} % full`);
    }
    this.overHigh = percent > marks.high;
    return this.pressed;
  }

  private stillFull(): string {
    const warning = `the engine's disk is above ${this.parts.marks.high} % and no image of ours can go: builds and pulls may fail soon`;
    if (this.warning === undefined) this.parts.onTrouble(warning);
    return warning;
  }

  private forgetUnneeded(held: readonly StockedImage[]): void {
    const ids = new Set(held.map(({ id }) => id));
    for (const id of this.unneededSince.keys()) if (!ids.has(id)) this.unneededSince.delete(id);
  }

  private get now(): number {
    return this.parts.now?.() ?? performance.timeOrigin + performance.now();
  }
}

const REASONS: Record<Choice['why'], string> = {
  removed: 'its versions were removed',
  unneeded: 'its versions were removed and the disk is full',
  elsewhere: 'the disk is full and the registry has it',
};

/** Which versions need which image. By digest alone, whatever the repository: to need too much does no harm. */
class Needs {
  private readonly byKey = new Map<string, Needed[]>();

  constructor(versions: readonly Needed[]) {
    for (const version of versions) {
      const key = keyOf(version.image);
      this.byKey.set(key, [...(this.byKey.get(key) ?? []), version]);
    }
  }

  of(image: StockedImage): Needed[] {
    return [...namesOf(image)].flatMap((name) => this.byKey.get(name) ?? []);
  }

  has(digest: string): boolean {
    return this.byKey.has(digest);
  }
}

/** An id or a digest: `sha256:…` */
function keyOf(image: string): string {
  const key = image.slice(image.indexOf('@') + 1);
  return isImageId(key) && !key.startsWith('sha256:') ? `sha256:${key}` : key;
}

function namesOf({ id, digests }: StockedImage): Set<string> {
  return new Set([id, ...digests.map(keyOf)]);
}

function nameOf({ id, tags }: StockedImage): string {
  return tags.find((tag) => tag.startsWith('kiln/')) ?? tags.find((tag) => !tag.startsWith('kiln-held/')) ?? id;
}
