/** One image that this node holds, with all that the choice needs. */
export interface HeldImage {
  id: string;
  /** When an instance was last made of it, as far as this process knows. */
  lastUsed: number;
  /** Since when no version needs it; undefined while one does. */
  unneededSince: number | undefined;
  /** A container uses it, or an instance is about to. */
  inUse: boolean;
  /** Every version that needs it names a registry from which it can be pulled again. */
  elsewhere: boolean;
}

export interface ImagesSnapshot {
  images: readonly HeldImage[];
  now: number;
  /** ms for which images of removed versions are kept. */
  graceMs: number;
  /** The disk was above its high mark and is not yet below its low mark. */
  pressed: boolean;
}

export interface Choice {
  id: string;
  /** `removed`: no version has needed it for the whole grace. The other reasons count only until the disk is below its low mark. */
  why: 'removed' | 'unneeded' | 'elsewhere';
}

/** A shorter grace where room is needed: an image that was just used may belong to a deployment whose version is not stored yet. */
const SETTLE_MS = 120_000;

/**
 * The images to remove, in order: those of versions that were removed long ago; where room is needed, also those removed lately, then
 * those that a registry has. The least recently used come first. Never one in use, never an only copy that a version needs.
 */
export function chooseImages({ images, now, graceMs, pressed }: ImagesSnapshot): Choice[] {
  const free = images.filter(({ inUse }) => !inUse).sort((a, b) => a.lastUsed - b.lastUsed || (a.id < b.id ? -1 : 1));
  const settleMs = Math.min(SETTLE_MS, graceMs);
  const choose = (why: Choice['why'], fits: (image: HeldImage) => boolean) => free.filter(fits).map(({ id }) => ({ id, why }));
  const removed = choose('removed', (image) => isUnusedFor(image, graceMs, now));
  if (!pressed) return removed;
  return [
    ...removed,
    ...choose('unneeded', (image) => isUnusedFor(image, settleMs, now) && !isUnusedFor(image, graceMs, now)),
    ...choose('elsewhere', (image) => image.unneededSince === undefined && image.elsewhere && now - image.lastUsed >= settleMs),
  ];
}

/** Whether no version has needed it, and nobody has used it, for so long. */
function isUnusedFor({ unneededSince, lastUsed }: HeldImage, ms: number, now: number): boolean {
  return unneededSince !== undefined && now - Math.max(unneededSince, lastUsed) >= ms;
}
