import { setTimeout as delay } from 'node:timers/promises';
import type { VersionRecord } from '@kiln/contract/records/records';
import { isImageId, registryOf } from '@kiln/registry/reference';
import type { Registries } from '@kiln/registry/registries';
import { type Choice, chooseImages, type HeldImage } from './choose-images.js';
import type { ImageStock, StockedImage } from './image-stock.js';
import type { Images } from './images.js';
import { ownReferences } from './own-references.js';
import type { RegistryCleaner } from './registry-cleaner.js';

const CHECK_MS = 5000;
/** A build or a pull waits so long for room; then it starts without. */
const ROOM_MS = 10_000;
/** Time between two whole passes, except where the disk has just become full; shorter where the grace is shorter. */
const SWEEP_MS = 60_000;
/** Removals before the collector reads the state again. */
const BATCH = 50;

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
  /** Images that instances of this node use or are about to use, as their versions name them. */
  running(): Iterable<string>;
  /** Used share of the engine's disk in percent; undefined where this process can't see that disk. */
  used: (() => Promise<number>) | undefined;
  now?(): number;
  onLine(line: string, keys?: object): void;
  onTrouble(message: string, keys?: object): void;
}

/** Removes images of removed versions, and more images where the engine's disk becomes full. */
export class ImageCollector {
  /** A lasting fault, for the node's warnings. */
  warning: string | undefined;
  /** Last measurement: used share of the disk, from 0 to 1, and the number of images that this node holds. Undefined where there is none. */
  measured: { used?: number; held?: number } = {};
  readonly removed = { removed: 0, unneeded: 0, elsewhere: 0 } satisfies Record<Choice['why'], number>;
  private readonly unneededSince = new Map<string, number>();
  private pressed = false;
  private overHigh = false;
  private nextSweep = 0;
  private checking: Promise<void> | undefined;
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;

  constructor(private readonly parts: CollectorParts) {}

  start(): void {
    this.timer = setInterval(() => void this.check(), CHECK_MS);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearInterval(this.timer);
    await this.checking;
  }

  /** Runs a check, or joins the one that runs. Never rejects. */
  check(): Promise<void> {
    this.checking ??= this.checkOnce()
      .catch((error: Error) => this.parts.onTrouble('image collection failed', { error: error.message }))
      .finally(() => {
        this.checking = undefined;
      });
    return this.checking;
  }

  /** To be called before a build or a pull: many at the same time could fill the disk between two checks. Never rejects. */
  async makeRoom(): Promise<void> {
    await Promise.race([this.check(), delay(ROOM_MS, undefined, { ref: false })]);
  }

  /** Makes the next check a whole pass: something needs room. */
  wake(): void {
    this.nextSweep = 0;
  }

  private async checkOnce(): Promise<void> {
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

  /** @returns true where there may be more to remove */
  private async removeSome(): Promise<boolean> {
    const { stock, versions } = this.parts;
    const began = this.now;
    // Reads the containers last, so that it sees those that start in the meantime.
    const [needed, held, used] = [await versions(), await stock.held(), await stock.used()];
    this.measured.held = held.length;
    const needs = new Needs(needed);
    const images = held.map((image) => this.described(image, needs, used));
    this.forgetUnneeded(held);
    const byId = new Map(held.map((image) => [image.id, image]));
    const choices = chooseImages({ images, now: began, graceMs: this.parts.graceMs, pressed: this.pressed });
    let removed = 0;
    for (const choice of choices) {
      if (this.stopped || removed >= BATCH) break;
      if (choice.why !== 'removed' && !(await this.measure())) break;
      if (await this.remove(choice, byId.get(choice.id) as StockedImage, needs, began)) removed++;
    }
    return removed >= BATCH;
  }

  private described(image: StockedImage, needs: Needs, used: ReadonlySet<string>): HeldImage {
    const { id } = image;
    const versions = needs.of(image);
    if (versions.length > 0) this.unneededSince.delete(id);
    else if (!this.unneededSince.has(id)) this.unneededSince.set(id, this.now);
    return {
      id,
      // After a restart of the agent the last use is unknown: a version counts as used when it was made.
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
      // No await between this check and the withdrawal: from then on, a start that needs the image waits for the removal and pulls again.
      if (this.isRunning(image) || (images.lastUsed(id) ?? 0) >= since) return false;
      const gone = await images.withdraw(id, async () => {
        for (const reference of ownReferences(image, node, prefix)) if ((await stock.remove(reference)) === 'in use') return false;
        return true;
      });
      if (!gone) return false;
      this.removed[why]++;
      if (this.measured.held !== undefined) this.measured.held--;
      onLine('removed image', { image: nameOf(image), reason: REASONS[why] });
      if (why !== 'elsewhere') await cleaner?.clean(image, (digest) => needs.has(digest));
      return true;
    } catch (error) {
      onTrouble('image removal failed', { image: nameOf(image), error: (error as Error).message });
      return false;
    }
  }

  /** Asks the registry right before the removal: an image that it has lost stays here. */
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

  /** Measures the disk. @returns whether room is needed: from above the high mark until below the low mark */
  private async measure(): Promise<boolean> {
    const { used, marks } = this.parts;
    if (used === undefined) return false;
    const percent = await used();
    this.measured.used = percent / 100;
    if (percent > marks.high && !this.pressed) {
      this.pressed = true;
      this.parts.onLine('disk of the engine is above the high mark, removing images', { percent, lowMark: marks.low });
    } else if (percent < marks.low && this.pressed) {
      this.pressed = false;
      this.parts.onLine('disk of the engine is below the low mark', { percent });
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

/** Which versions need which image, by digest alone: an image that is kept too long does no harm. */
class Needs {
  private readonly byKey: ReadonlyMap<string, Needed[]>;

  constructor(versions: readonly Needed[]) {
    this.byKey = Map.groupBy(versions, ({ image }) => keyOf(image));
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
