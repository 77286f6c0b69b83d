import { describe, expect, it } from 'vitest';
import { chooseImages, type HeldImage } from './choose-images.js';

const NOW = 10_000_000;
const HOUR = 3_600_000;
const MINUTE = 60_000;

/** An image of a version that is kept, used an hour ago, and nowhere else. */
function image(id: string, changes: Partial<HeldImage> = {}): HeldImage {
  return { id, lastUsed: NOW - HOUR, unneededSince: undefined, inUse: false, elsewhere: false, ...changes };
}

const chosen = (images: HeldImage[], pressed: boolean) =>
  chooseImages({ images, now: NOW, graceMs: HOUR, pressed }).map(({ id, why }) => `${id} ${why}`);

describe('images that may go', () => {
  it('are those whose versions were removed, after the grace', () => {
    const images = [
      image('long-ago', { unneededSince: NOW - HOUR }),
      image('lately', { unneededSince: NOW - HOUR + 1 }),
      image('asked-for-since', { unneededSince: NOW - 2 * HOUR, lastUsed: NOW - 1 }),
      image('kept', { elsewhere: true }),
    ];
    expect(chosen(images, false)).toEqual(['long-ago removed']);
  });

  it('are under pressure also those removed lately, and then what a registry gives again, the least recently used first', () => {
    const images = [
      image('newer', { elsewhere: true, lastUsed: NOW - 10 * MINUTE }),
      image('older', { elsewhere: true, lastUsed: NOW - 20 * MINUTE }),
      image('lately', { unneededSince: NOW - 5 * MINUTE }),
      image('long-ago', { unneededSince: NOW - HOUR, lastUsed: NOW - 2 * HOUR }),
    ];
    expect(chosen(images, true)).toEqual(['long-ago removed', 'lately unneeded', 'older elsewhere', 'newer elsewhere']);
  });

  it('are never those that a container or an instance needs, whatever else holds', () => {
    const images = [image('a', { inUse: true, unneededSince: 0 }), image('b', { inUse: true, elsewhere: true })];
    expect([chosen(images, true), chosen(images, false)]).toEqual([[], []]);
  });

  it('are never the only copy of a version’s image', () => {
    expect(chosen([image('only')], true)).toEqual([]);
  });

  it('are never those that were used or became unneeded a moment ago', () => {
    const images = [
      image('built', { lastUsed: NOW - MINUTE, unneededSince: NOW - HOUR }),
      image('removed', { unneededSince: NOW - MINUTE }),
      image('pulled', { elsewhere: true, lastUsed: NOW - MINUTE }),
    ];
    expect(chosen(images, true)).toEqual([]);
  });

  it('are chosen alike whatever the order they are listed in', () => {
    const images = Array.from({ length: 20 }, (_, i) => image(`i${i}`, { elsewhere: true, lastUsed: NOW - HOUR * (1 + (i % 5)) }));
    expect(chosen(images.toReversed(), true)).toEqual(chosen(images, true));
  });
});
