import { resolveConfig } from '@kiln/contract/config/function-config';
import { KilnError } from '@kiln/contract/errors';
import type { VersionRecord } from '@kiln/contract/records/records';
import { TestPools } from '@kiln/instances/pool/pools.fixture';
import { Refusal } from '@kiln/instances/port/refusal';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Proofs } from './proofs.js';

let test: TestPools;
beforeEach(() => {
  test = new TestPools();
});
afterEach(() => test.stop());

const version = (image: string, memory = 16, number = 1): VersionRecord => ({
  function: 'f',
  version: number,
  image,
  digest: 'd',
  kind: 'runner',
  config: resolveConfig({ memory, startTimeout: 300 }, 'runner'),
  state: 'pending',
  provingNode: 'test',
  createdAt: '2026-01-01T00:00:00.000Z',
});

type Write = (name: string, number: number) => Promise<void>;

function proofs(ensureImage: (image: string) => Promise<unknown> = async () => undefined, markReady?: Write) {
  const told: string[] = [];
  const fixes: string[] = [];
  const trouble: string[] = [];
  const clock = { now: 0 };
  const write = (what: string) => async (name: string, number: number, failure?: { code: string; fix?: string | undefined }) => {
    told.push([what, `${name}@${number}`, ...(failure === undefined ? [] : [failure.code])].join(' '));
    if (failure?.fix !== undefined) fixes.push(failure.fix);
  };
  const made = new Proofs({
    pools: test.pools,
    ensureImage,
    markReady: markReady ?? write('ready'),
    markFailed: write('failed'),
    noteRefusal: write('refused'),
    withdraw: write('withdrawn'),
    announce: () => undefined,
    onTrouble: (message, keys) => trouble.push(`${message} ${JSON.stringify(keys)}`),
    settled: () => undefined,
    now: () => clock.now,
  });
  const tell = async (each: VersionRecord, count: number) => {
    made.update([each]);
    await vi.waitFor(() => expect(told).toHaveLength(count));
    // One more turn, for what follows the write.
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { made, told, fixes, trouble, clock, tell };
}

describe('a version that this node proves', () => {
  it('is ready when it has started', async () => {
    const { tell, told } = proofs();
    await tell(version('serves'), 1);
    expect(told).toEqual(['ready f@1']);
  });

  it('is ready though the engine took longer for its part than the version may take for its own', async () => {
    test.driver.startMs = 600;
    const { tell, told } = proofs();
    await tell(version('serves'), 1);
    expect(told).toEqual(['ready f@1']);
  });

  it('has failed when it cannot run itself: it exits, or is never ready', async () => {
    const { tell, told, fixes } = proofs();
    await tell(version('exits'), 1);
    expect(fixes).toEqual(['kiln logs shows all it wrote']);
    await tell(version('silent', 16, 2), 2);
    expect(told).toEqual(['failed f@1 start_failed', 'failed f@2 start_timeout']);
  });

  it('is refused, not failed, while the node is full, and tried again after pauses that grow', async () => {
    const { made, tell, told, clock } = proofs();
    const large = version('serves', 2000);
    await tell(large, 1);
    for (let i = 0; i < 5; i++) made.update([large]);
    expect(told).toEqual(['refused f@1 no_capacity']);
    clock.now += 500;
    await tell(large, 2);
    clock.now += 500;
    made.update([large]);
    expect(told).toHaveLength(2);
    clock.now += 500;
    await tell(large, 3);
  });

  it.each([
    ['the engine is silent', () => new Refusal('no_capacity', 'the engine did not answer'), 'no_capacity'],
    ['the registry is not reached', () => new KilnError('start_failed', 'image i cannot be pulled: dial tcp'), 'start_failed'],
    ['the store is away', () => new KilnError('unavailable', 'the store is away'), 'unavailable'],
  ])('is refused, not failed, while %s', async (_what, error, code) => {
    const { tell, told } = proofs(() => Promise.reject(error()));
    await tell(version('serves'), 1);
    expect(told).toEqual([`refused f@1 ${code}`]);
  });

  it('has failed where its image was built here and is gone, and is refused where it was built elsewhere', async () => {
    const { tell, told } = proofs(() => Promise.reject(new KilnError('start_failed', 'it is not on this node')));
    const built = { ...version(`sha256:${'0'.repeat(64)}`) };
    await tell(built, 1);
    await tell({ ...built, version: 2, refusal: { node: 'other', code: 'no_capacity', detail: 'full' } }, 2);
    expect(told).toEqual(['failed f@1 start_failed', 'refused f@2 start_failed']);
  });

  it('is refused where the engine has a fault of its own', async () => {
    const { tell, told } = proofs();
    const cause = Object.assign(new Error('cannot make a network interface'), { statusCode: 500 });
    test.driver.start = () => Promise.reject(new KilnError('start_failed', 'the engine cannot start the container', { cause }));
    await tell(version('serves'), 1);
    expect(told).toEqual(['refused f@1 start_failed']);
  });

  it('is tried again, after a pause, when the store refused to write how it went', async () => {
    let writes = 0;
    const { made, trouble, clock } = proofs(
      async () => undefined,
      async () => {
        writes++;
        throw new KilnError('unavailable', 'OOM command not allowed');
      },
    );
    for (let i = 0; i < 20; i++) {
      made.update([version('serves')]);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect([writes, trouble.length]).toEqual([1, 1]);
    clock.now += 500;
    made.update([version('serves')]);
    await vi.waitFor(() => expect(writes).toBe(2));
  });

  it('is withdrawn after a quarter of an hour of refusals', async () => {
    const { tell, told, clock, trouble } = proofs();
    const large = version('serves', 2000);
    await tell(large, 1);
    clock.now += 16 * 60_000;
    await tell(large, 2);
    expect(told.at(-1)).toBe('withdrawn f@1');
    expect(trouble).toEqual(['version withdrawn: no node could start it {"function":"f","version":1}']);
  });

  it('is forgotten when it is proved elsewhere', async () => {
    const { made, tell, told, clock } = proofs();
    await tell(version('serves', 2000), 1);
    made.update([]);
    clock.now += 1;
    await tell(version('serves', 2000), 2);
    expect(told).toHaveLength(2);
  });
});
