import { KilnError } from '@kiln/contract/errors';
import type { VersionRecord } from '@kiln/contract/records/records';
import { describe, expect, it } from 'vitest';
import { isImageLost } from './lost-image.js';

const gone = () => Promise.reject(new KilnError('start_failed', 'it is not on this node'));
const there = () => Promise.resolve({ image: 'i', digest: 'i', kind: 'http' as const });
const away = () => Promise.reject(new KilnError('unavailable', 'it did not answer'));

/** @param answers of the nodes, in the order of the ring */
async function look(answers: Record<string, typeof there>, image = `sha256:${'a'.repeat(64)}`, known = Object.keys(answers)) {
  const asked: string[] = [];
  const parts = {
    nodes: {
      preference: () => Object.keys(answers).map((id) => ({ record: { id } })) as never,
      find: (id: string) => (known.includes(id) ? ({ id } as never) : undefined),
    },
    agents: {
      facts: ({ id }: { id: string }) => {
        asked.push(id);
        return answers[id]!();
      },
    },
  };
  const version = { function: 'f', version: 1, image, provingNode: 'b' } as VersionRecord;
  return { lost: await isImageLost(parts, version), asked };
}

describe('the image of a version', () => {
  it('is lost where every node says so, and the one that built it is asked first', async () => {
    expect(await look({ a: gone, b: gone, c: gone })).toEqual({ lost: true, asked: ['b', 'a', 'c'] });
  });

  it('is not lost where one has it, and no other is asked then', async () => {
    expect(await look({ a: gone, b: there })).toEqual({ lost: false, asked: ['b'] });
  });

  it('is not lost where a node does not answer, or none is there', async () => {
    expect((await look({ a: away, b: gone })).lost).toBe(false);
    expect((await look({})).lost).toBe(false);
  });

  it('is not lost where the node that built it takes no calls just now', async () => {
    expect(await look({ a: gone, c: gone }, undefined, ['a', 'b', 'c'])).toEqual({ lost: false, asked: [] });
    expect((await look({ a: gone, c: gone })).lost).toBe(true);
  });

  it('is not looked for where a registry has it', async () => {
    expect(await look({ b: gone }, `registry/f@sha256:${'a'.repeat(64)}`)).toEqual({ lost: false, asked: [] });
  });
});
