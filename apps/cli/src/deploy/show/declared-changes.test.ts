import { type FunctionConfigInput, resolveConfig } from '@kiln/contract/config/function-config';
import { type ImageKind } from '@kiln/contract/kinds';
import type { VersionRecord } from '@kiln/contract/records/records';
import { describe, expect, it } from 'vitest';
import { declaredChanges } from './declared-changes.js';

function serving(config: FunctionConfigInput, kind: ImageKind = 'http'): VersionRecord {
  return { config: resolveConfig(config, kind), kind } as VersionRecord;
}

describe('declaredChanges', () => {
  it('names nothing where nothing changes, defaults written out or not', () => {
    expect(declaredChanges({ memory: 256 }, serving({}))).toEqual([]);
    expect(declaredChanges({}, serving({ memory: 256, concurrency: 100 }))).toEqual([]);
  });

  it('names each key with what it was and what it becomes', () => {
    expect(declaredChanges({ memory: 512, auth: 'key' }, serving({ memory: 128, timeout: 9 }))).toEqual([
      { key: 'timeout', from: 9, to: 15_000 },
      { key: 'memory', from: 128, to: 512 },
      { key: 'auth', from: 'none', to: 'key' },
    ]);
  });

  it('does not know what a module says of itself, and says nothing of what the build finds out', () => {
    const now = serving({ timeout: 9, entry: 'index.js', handler: 'hello' }, 'runner');
    expect(declaredChanges({}, now)).toEqual([{ key: 'timeout', from: 9, to: undefined }]);
    expect(declaredChanges({ handler: 'other', timeout: 9 }, now)).toEqual([{ key: 'handler', from: 'hello', to: 'other' }]);
  });

  it('names variables and never their values', () => {
    const changes = declaredChanges(
      { env: { KEPT: '1', CHANGED: 'new', ADDED: 'x' } },
      serving({ env: { KEPT: '1', CHANGED: 'old', GONE: 'y' } }),
    );
    expect(changes).toEqual([
      { key: 'env.ADDED', from: 'unset', to: 'set' },
      { key: 'env.CHANGED', from: 'set', to: 'another value' },
      { key: 'env.GONE', from: 'set', to: 'unset' },
    ]);
  });
});
