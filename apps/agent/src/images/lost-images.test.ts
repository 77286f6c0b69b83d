import { expect, it } from 'vitest';
import { lostImages } from './lost-images.js';

it('functions whose image is gone are named, with the command that builds it again', () => {
  const all = ['a', 'b'].map((name) => ({
    function: { name, traffic: [{ version: 2, weight: 100 }] },
    versions: [
      { version: 1, image: 'old' },
      { version: 2, image: `of-${name}` },
    ],
  }));
  expect(lostImages(new Set(['old']), all)).toEqual([]);
  expect(lostImages(new Set(['of-b', 'old']), all)).toEqual([
    '"b" cannot start here: the image of its version 2 was removed from the engine (kiln deploy)',
  ]);
});
