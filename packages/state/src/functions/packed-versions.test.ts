import { expect, it } from 'vitest';
import { store, withStore } from '../with-store.fixture.js';
import { countPacked, PACK_VERSIONS, pack, unpack } from './packed-versions.js';

withStore();

it('what Redis packs is what is stored, byte for byte', async () => {
  const versions = { 1: '{"a":"ü/\\n\\u0000"}', 20: ' {\n}\t\u007f“' };
  const packed = await store.run(async (redis) => {
    await redis.hset('kiln:versions:a', versions);
    return redis.callBuffer('EVAL', PACK_VERSIONS, 2, 'kiln:versions:a', 'kiln:versions:none');
  });
  expect((packed as Buffer[]).map(unpack)).toEqual([versions, {}]);
  expect((packed as Buffer[]).map(countPacked)).toEqual([2, 0]);
  expect([unpack(pack(versions)), countPacked(pack(versions))]).toEqual([versions, 2]);
});
