/** One image that this node holds. */
export interface HeldImage {
  id: string;
  /** When an instance was last made of it, as far as is known. */
  lastUsed: number;
  /** Since when no version is made of it; undefined while one is. */
  unneededSince: number | undefined;
  /** A container is made of it, or an instance is about to be. */
  inUse: boolean;
  /** Every version of it names a registry that has it too. */
  elsewhere: boolean;
}

export interface ImagesSnapshot {
  images: readonly HeldImage[];
  now: number;
  /** How long images of removed versions are kept. */
  graceMs: number;
  /** Room is needed: the disk was above its high mark and is not below the low one yet. */
  pressed: boolean;
}

export interface Choice {
  id: string;
  /** `removed`: no version has needed it for the whole grace. The others go only until the disk is below its low mark. */
  why: 'removed' | 'unneeded' | 'elsewhere';
}

/** Under pressure too: what was used just now may be part of a deployment that has not written its version down yet. */
const SETTLE_MS = 120_000;

/**
 * Which images may go, in order: first those of versions removed long ago, then, where room is needed, those of versions removed
 * lately, then those that a registry gives again, each the least recently used first. Never one in use, never an only copy.
 */
export function chooseImages({ images, now, graceMs, pressed }: ImagesSnapshot): Choice[] {
  const free = images.filter(({ inUse }) => !inUse).sort((a, b) => a.lastUsed - b.lastUsed || (a.id < b.id ? -1 : 1));
  const settleMs = Math.min(SETTLE_MS, graceMs);
  const choices: Choice[] = [];
  for (const image of free) if (restedFor(image, graceMs, now)) choices.push({ id: image.id, why: 'removed' });
  if (!pressed) return choices;
  for (const image of free) {
    if (restedFor(image, settleMs, now) && !restedFor(image, graceMs, now)) choices.push({ id: image.id, why: 'unneeded' });
  }
  for (const image of free) {
    if (image.unneededSince === undefined && image.elsewhere && now - image.lastUsed >= settleMs)
      choices.push({ id: image.id, why: 'elsewhere' });
  }
  return choices;
}

/** Neither needed nor used for so long. */
function restedFor({ unneededSince, lastUsed }: HeldImage, ms: number, now: number): boolean {
  return unneededSince !== undefined && now - Math.max(unneededSince, lastUsed) >= ms;
}
