import { describe, expect, it } from 'vitest';
import { KeptChunks } from './kept-chunks.js';

describe('what is kept of a body', () => {
  it('that came in single bytes is a few pieces, not one for each', () => {
    const kept = new KeptChunks();
    for (let i = 0; i < 65_536; i++) kept.add(Buffer.from([i % 256]));
    expect(kept.list().length).toBeLessThan(4);
    const all = Buffer.concat(kept.list());
    expect([all.length, all.every((byte, i) => byte === i % 256)]).toEqual([65_536, true]);
  });

  it('keeps its order, large and small, whenever it is asked for', () => {
    const kept = new KeptChunks();
    expect(kept.list()).toEqual([]);
    const pieces = ['a', 'b', 'c'.repeat(2000), 'd', 'e', 'f'.repeat(1024), 'g'];
    for (const [i, piece] of pieces.entries()) {
      kept.add(Buffer.from(piece));
      expect(Buffer.concat(kept.list()).toString()).toBe(pieces.slice(0, i + 1).join(''));
    }
  });

  it('is the chunk itself where there is one', () => {
    const kept = new KeptChunks();
    const chunk = Buffer.from('whole');
    kept.add(chunk);
    expect(kept.list()[0]).toBe(chunk);
  });
});
