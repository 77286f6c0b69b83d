import type { KeyRecord, Scope } from '@kiln/contract/records/records';
import { describe, expect, it } from 'vitest';
import { hashOf, KeyTable, keyId } from './key-table.js';

const secret = 's'.repeat(32);
const keyOf = (id: string) => `kiln_${id}_${secret}`;

function record(id: string, scopes: Scope[]): KeyRecord {
  return { id, name: id, scopes, hash: hashOf(keyOf(id)), createdAt: new Date().toISOString() };
}

const ADDRESS = '10.0.0.1';
const READER = 'reader000000';
const ADMIN = 'admin0000000';
const DEPLOYER = 'deployer0000';
const CALLER = 'caller000000';

const table = new KeyTable([record(ADMIN, ['admin'])]);
table.replace([record(READER, ['read']), record(DEPLOYER, ['deploy']), record(CALLER, ['invoke'])]);

describe('KeyTable', () => {
  it.each<[string, Scope[]]>([
    [ADMIN, ['admin', 'deploy', 'read', 'invoke']],
    [DEPLOYER, ['deploy', 'read']],
    [READER, ['read']],
    [CALLER, ['invoke']],
  ])('opens for %s exactly %j', (id, open) => {
    for (const scope of ['admin', 'deploy', 'read', 'invoke'] as const) {
      expect(table.allows(`Bearer ${keyOf(id)}`, scope, ADDRESS), scope).toBe(open.includes(scope) ? 'ok' : 'forbidden');
    }
  });

  it('takes the scheme in any case', () => {
    for (const scheme of ['Bearer', 'bearer', 'BEARER', 'bEaReR  '])
      expect(table.allows(`${scheme} ${keyOf(READER)}`, 'read', ADDRESS)).toBe('ok');
  });

  it.each([
    undefined,
    '',
    'Bearer',
    `Basic ${keyOf(READER)}`,
    keyOf(READER),
    `Bearer ${keyOf(READER)}x`,
    `Bearer ${keyOf(READER).slice(0, -1)}t`,
    `Bearer kiln_${READER}_`,
    `Bearer ${keyOf('unknown00000')}`,
    `Bearer ${keyOf(READER)}, Bearer ${keyOf(ADMIN)}`,
    `Bearer ${'x'.repeat(100_000)}`,
    'Bearer kiln___proto_____________',
  ])('refuses %s', (header) => {
    expect(table.allows(header, 'read', ADDRESS)).toBe('unauthorized');
  });

  it('looks at no more keys of an address that guesses, and takes the right ones of others there', () => {
    const guessed = new KeyTable([record(ADMIN, ['admin']), record(READER, ['read'])]);
    const wrong = `Bearer ${keyOf(ADMIN).slice(0, -1)}t`;
    const verdicts = Array.from({ length: 210 }, () => guessed.allows(wrong, 'read', ADDRESS));
    expect([verdicts[0], verdicts[209]]).toEqual(['unauthorized', 'limited']);
    expect(guessed.allows(`Bearer ${keyOf(ADMIN)}`, 'read', ADDRESS)).toBe('limited');
    expect(guessed.allows(`Bearer ${keyOf(READER)}`, 'read', ADDRESS)).toBe('ok');
    expect(guessed.allows(`Bearer ${keyOf(ADMIN)}`, 'read', '10.0.0.2')).toBe('ok');
    expect(guessed.allows(undefined, 'read', ADDRESS)).toBe('unauthorized');
  });

  it('forgets what is not listed any more, but not what it was made with', () => {
    const changing = new KeyTable([record(ADMIN, ['admin'])]);
    changing.replace([record(READER, ['read'])]);
    changing.replace([]);
    expect(changing.allows(`Bearer ${keyOf(READER)}`, 'read', ADDRESS)).toBe('unauthorized');
    expect(changing.allows(`Bearer ${keyOf(ADMIN)}`, 'read', ADDRESS)).toBe('ok');
    expect(changing.list().map(({ id }) => id)).toEqual([ADMIN]);
  });

  it('lets no stored record take the place of the one it was made with', () => {
    const fixed = new KeyTable([record(ADMIN, ['admin'])]);
    fixed.replace([{ ...record(ADMIN, ['read']), hash: hashOf('another') }]);
    expect(fixed.allows(`Bearer ${keyOf(ADMIN)}`, 'admin', ADDRESS)).toBe('ok');
  });
});

describe('keyId', () => {
  it('reads the id of a key of ours, and of nothing else', () => {
    expect(keyId(keyOf(READER))).toBe(READER);
    for (const other of ['kiln_short_x', `kiln_${READER}_short`, `x${keyOf(READER)}`, `${keyOf(READER)}\n`])
      expect(keyId(other)).toBeUndefined();
  });
});
