import { setTimeout as delay } from 'node:timers/promises';
import { KilnError } from '@kiln/contract/errors';
import type { VersionRecord } from '@kiln/contract/records/records';
import { describe, expect, it } from 'vitest';
import { PendingProof, type ProofParts } from './await-proof.js';
import { nextProvingNode } from './next-proving-node.js';

type Refusal = NonNullable<VersionRecord['refusal']>;
const full = (node: string): Refusal => ({ node, code: 'no_capacity', detail: `${node} is full` });
const without = (node: string): Refusal => ({ node, code: 'start_failed', detail: `${node} has no such image`, fix: 'kiln deploy' });

describe('the node that proves a version', () => {
  const next = (provingNode: string, refusal: Refusal | undefined, usable: string[], unable: string[] = [], refused: string[] = []) =>
    nextProvingNode({
      version: { provingNode, ...(refusal && { refusal }) },
      usable,
      unable: new Set(unable),
      refused: new Set(refused),
    });

  it('stays while it says nothing and lives', () => expect(next('a', undefined, ['a', 'b'])).toBe('a'));
  it('is another where it refused', () => expect(next('a', full('a'), ['a', 'b', 'c'], [], ['a'])).toBe('b'));
  it('is another where it is lost', () => expect(next('a', undefined, ['b', 'c'])).toBe('b'));
  it('stays where all have refused', () => expect(next('b', full('b'), ['a', 'b'], [], ['a', 'b'])).toBe('b'));
  it('stays where it is alone', () => expect(next('a', full('a'), ['a'], [], ['a'])).toBe('a'));
  it('stays where no node is in use', () => expect(next('a', undefined, [])).toBe('a'));
  it('is never one that has not the image', () => expect(next('c', full('c'), ['a', 'b', 'c'], ['a'], ['c'])).toBe('b'));
  it('is one that refused before where it has not the image itself', () =>
    expect(next('b', without('b'), ['a', 'b'], ['b'], ['a', 'b'])).toBe('a'));
  it('is none where none has the image', () => expect(next('b', without('b'), ['a', 'b'], ['a', 'b'], ['a', 'b'])).toBeUndefined());
});

const soon = () => delay(10);

/** Nodes that answer as `says` has it, each some milliseconds after it is asked. */
function cluster(nodes: string[], says: (node: string, time: number) => Refusal | 'ready' | 'silent') {
  const record = { version: 1, state: 'pending', provingNode: nodes[0]! } as VersionRecord;
  const asked: string[] = [];
  let gone = false;
  const times = new Map<string, number>();
  const parts: ProofParts = {
    catalog: { changed: soon },
    nodes: { preference: () => nodes.map((id) => ({ id })) as never },
    announcer: { functionChanged: async () => undefined },
    functions: {
      version: async () => {
        const node = record.provingNode;
        if (record.state === 'pending' && record.refusal?.node !== node) {
          const time = (times.get(node) ?? 0) + 1;
          times.set(node, time);
          const said = says(node, time);
          if (said === 'ready') record.state = 'ready';
          else if (said !== 'silent') record.refusal = said;
        }
        return { ...record };
      },
      proveOn: async (_name, _version, node) => {
        asked.push(node);
        record.provingNode = node;
        return record;
      },
      markFailed: async (_name, _version, failure) => Object.assign(record, { state: 'failed', failure }),
    },
  };
  const withdraw = async () => {
    gone = true;
    return 'withdrawn' as const;
  };
  const proof = (boundMs: number) =>
    new PendingProof(parts, { name: 'f', version: 1, boundMs, signal: new AbortController().signal, withdraw }).ready();
  return { proof, record, asked, isGone: () => gone };
}

describe('a version that is being proved', () => {
  it('is tried on a second node where the first is full', async () => {
    const made = cluster(['a', 'b'], (node) => (node === 'a' ? full('a') : 'ready'));
    await made.proof(5000);
    expect([made.asked, made.record.state]).toEqual([['b'], 'ready']);
  });

  it('is tried elsewhere where its node is lost', async () => {
    const nodes = ['a', 'b'];
    const made = cluster(nodes, (node) => (node === 'a' ? 'silent' : 'ready'));
    setTimeout(() => nodes.shift(), 50);
    await made.proof(10_000);
    expect([made.asked, made.record.state]).toEqual([['b'], 'ready']);
  });

  it('is withdrawn and not failed where every node was full all the time', async () => {
    const made = cluster(['a', 'b'], full);
    const error = await made.proof(300).catch((reason: KilnError) => reason);
    expect(error).toMatchObject({ code: 'no_capacity', message: expect.stringMatching(/no node could start version 1.*[ab] is full/) });
    expect([made.record.state, made.isGone()]).toEqual(['pending', true]);
  });

  it('is withdrawn where its only node says nothing', async () => {
    const made = cluster(['a'], () => 'silent');
    await expect(made.proof(100)).rejects.toMatchObject({ code: 'no_capacity', message: expect.stringContaining('no node reported') });
    expect(made.isGone()).toBe(true);
  });

  it('has failed, at once, where no node has its image', async () => {
    const made = cluster(['a', 'b'], without);
    await expect(made.proof(5000)).rejects.toMatchObject({
      code: 'start_failed',
      message: 'b has no such image',
      fix: 'kiln deploy',
    });
    expect(made.record.state).toBe('failed');
  });

  it('waits for the store where it is away', async () => {
    const made = cluster(['a'], () => 'ready');
    let away = 3;
    const proof = new PendingProof(
      {
        catalog: { changed: soon },
        nodes: { preference: () => [] },
        announcer: { functionChanged: async () => undefined },
        functions: {
          version: async () => {
            if (away-- > 0) throw new KilnError('unavailable', 'away');
            return { ...made.record, state: 'ready' };
          },
        } as never,
      },
      { name: 'f', version: 1, boundMs: 5000, signal: new AbortController().signal, withdraw: async () => 'withdrawn' },
    );
    await proof.ready();
  });
});
