import { resolveConfig } from '@kiln/contract/config/function-config';
import type { VersionRecord } from '@kiln/contract/records/records';
import type { FunctionWithVersions } from '@kiln/state/functions/function-entry';
import { beforeEach, describe, expect, it } from 'vitest';
import { RouteTable } from './route-table.js';

const NOW = '2026-01-01T00:00:00.000Z';

function entry(name: string, states: VersionRecord['state'][] = ['ready']): FunctionWithVersions & { asked: number } {
  const versions = states.map((state, i) => ({
    ...{ function: name, version: i + 1, state, image: 'sha256:abc', digest: 'sha256:abc', kind: 'runner' as const },
    ...{ config: resolveConfig({}, 'runner'), provingNode: 'node-1', createdAt: NOW },
  }));
  const traffic = [{ version: 1, weight: 100 }];
  const times = { createdAt: NOW, updatedAt: NOW };
  return {
    asked: 0,
    function: { name, revision: 1, lastVersion: 1, traffic, previousTraffic: [], sticky: false, ...times },
    get versions() {
      this.asked++;
      return versions;
    },
  };
}

let table: RouteTable;
beforeEach(() => {
  table = new RouteTable();
});

describe('routes', () => {
  it('hold the versions that are ready', () => {
    table.replace([entry('a', ['ready', 'failed', 'pending', 'ready'])]);
    expect([...(table.find('a')?.versions.keys() ?? [])]).toEqual([1, 4]);
    expect(table.find('b')).toBeUndefined();
  });

  it('come, change and go with the functions, whatever comes before and behind them', () => {
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => entry(name));
    table.replace([b!, d!]);
    table.replace([a!, b!, c!, d!]);
    expect(table.names().sort()).toEqual(['a', 'b', 'c', 'd']);
    table.replace([b!, entry('c', ['failed']), d!]);
    expect(table.names().sort()).toEqual(['b', 'c', 'd']);
    expect(table.find('c')?.versions.size).toBe(0);
    table.replace([d!]);
    table.replace([d!, entry('e')]);
    expect([table.find('b'), table.find('c'), table.find('d')?.name, table.find('e')?.name]).toEqual([undefined, undefined, 'd', 'e']);
    table.replace([]);
    expect(table.names()).toEqual([]);
  });

  it('are made once, when somebody asks, and again only where their function has changed', () => {
    const [a, b] = [entry('a'), entry('b')];
    table.replace([a, b]);
    expect([a.asked, b.asked]).toEqual([0, 0]);
    const route = table.find('a');
    table.replace([a, entry('b')]);
    expect(table.find('a')).toBe(route);
    expect([a.asked, b.asked]).toEqual([1, 0]);
  });
});
