import type { NodeRecord } from '@kiln/contract/records';
import { beforeEach, describe, expect, it } from 'vitest';
import { NodeTable } from './node-table.js';

let now = 1_000_000;
let table: NodeTable;
let beats: number;

const record = (id: string, changes: Partial<NodeRecord & { alive: boolean }> = {}): NodeRecord & { alive: boolean } => ({
  id,
  dataUrl: 'http://127.0.0.1:9200',
  controlUrl: 'http://127.0.0.1:9201',
  weight: 1,
  cores: 2,
  memory: 1000,
  memoryPromised: 0,
  load: 0,
  instances: 0,
  draining: false,
  warnings: [],
  epoch: 'first',
  beat: beats,
  startedAt: '2026-01-01T00:00:00.000Z',
  alive: true,
  ...changes,
});

const NODES = ['node-1', 'node-2', 'node-3'];
const beat = (...records: (NodeRecord & { alive: boolean })[]) => {
  beats++;
  table.update(
    records.map((each) => ({ ...each, beat: each.beat < 0 ? -each.beat : beats })),
    now,
  );
};
const all = () => beat(...NODES.map((id) => record(id)));
const ids = (name = 'hello') => table.preference(name).map(({ id }) => id);

beforeEach(() => {
  beats = 0;
  table = new NodeTable(() => now);
});

describe('NodeTable', () => {
  it('lists the usable nodes in ring order, home first', () => {
    all();
    expect([...ids()].sort()).toEqual(NODES);
    expect(table.home('hello')).toBe(ids()[0]);
  });

  it('takes a node out of use when its heartbeat stops, and only moves that node’s functions', () => {
    all();
    const homes = new Map(Array.from({ length: 60 }, (_, i) => [`function-${i}`, table.home(`function-${i}`)]));
    const stopped = record('node-3');
    for (let second = 0; second < 4; second++) {
      now += 1000;
      beat(record('node-1'), record('node-2'), { ...stopped, beat: -1 });
    }
    expect(table.live().map(({ id }) => id)).toEqual(['node-1', 'node-2']);
    for (const [name, home] of homes) if (home !== 'node-3') expect(table.home(name)).toBe(home);
    now += 1000;
    all();
    for (const [name, home] of homes) expect(table.home(name)).toBe(home);
  });

  it('believes the store when it says that a node is gone', () => {
    all();
    beat(record('node-1'), record('node-2'), record('node-3', { alive: false }));
    expect(table.live()).toHaveLength(2);
    beat(record('node-1'));
    expect(table.live()).toHaveLength(1);
  });

  it('sends nothing to a draining node, but still lists it', () => {
    all();
    beat(record('node-1'), record('node-2', { draining: true }), record('node-3'));
    expect(ids()).not.toContain('node-2');
    expect(table.live()).toHaveLength(3);
  });

  it('leaves a suspect node out until its next heartbeat, and keeps the home', () => {
    all();
    const home = table.home('hello')!;
    table.suspect(home);
    expect(ids()).toHaveLength(2);
    expect(ids()).not.toContain(home);
    expect(table.live()).toHaveLength(2);
    expect(table.home('hello')).toBe(home);
    table.update(
      NODES.map((id) => record(id)),
      now,
    );
    expect(ids()).not.toContain(home);
    all();
    expect(ids()[0]).toBe(home);
  });

  it('keeps all nodes while the store is away, tries suspects again, and gives grace when it is back', () => {
    all();
    table.storeLost();
    now += 60_000;
    expect(ids()).toHaveLength(3);
    table.suspect('node-1');
    expect(ids()).not.toContain('node-1');
    now += 1001;
    expect(ids()).toContain('node-1');
    table.update([], now);
    expect(ids()).toHaveLength(3);
    now += 3001;
    table.update([], now);
    expect(ids()).toHaveLength(0);
  });

  it('takes the larger of its own count and a fresh report as load', () => {
    all();
    const load = () => table.live().find(({ id }) => id === 'node-1')!.load;
    const release = table.begin('node-1', 0.5);
    expect(load()).toBe(0.5);
    table.reportLoad('node-1', 7);
    expect(load()).toBe(7);
    now += 2001;
    expect(load()).toBe(0.5);
    release();
    release();
    expect(load()).toBe(0);
  });

  it('forgets suspicion and load of a node that came back as a new one', () => {
    all();
    const release = table.begin('node-1', 1);
    beat(record('node-2'));
    all();
    expect(table.live().find(({ id }) => id === 'node-1')!.load).toBe(0);
    release();
    expect(table.live().find(({ id }) => id === 'node-1')!.load).toBe(0);
    expect(ids()).toContain('node-1');
  });
});
