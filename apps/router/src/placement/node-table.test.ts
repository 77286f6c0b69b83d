import type { NodeRecord } from '@kiln/contract/records/records';
import { beforeEach, describe, expect, it } from 'vitest';
import type { UnderWay } from './node.js';
import type { ProbeResult } from './node-health.js';
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

const weighing = (weight: number): UnderWay => ({ weight, deadline: Number.POSITIVE_INFINITY, end: () => undefined });
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
const live = () => table.live().map(({ id }) => id);
const due = () => table.due().map(({ id }) => id);
/** Asks a node's door, which says so. */
const says = (id: string, verdict: ProbeResult) => {
  table.ask(id);
  return table.settle(id, verdict);
};

beforeEach(() => {
  beats = 0;
  table = new NodeTable(() => now);
});

describe('NodeTable', () => {
  it('lists the usable nodes in ring order, home first', () => {
    all();
    expect([...ids()].sort()).toEqual(NODES);
    expect(table.preference('hello')[0]?.id).toBe(ids()[0]);
  });

  it('takes a node out of use when its heartbeat stops and its door does not answer, and only moves that node’s functions', () => {
    all();
    const homes = new Map(Array.from({ length: 60 }, (_, i) => [`function-${i}`, table.preference(`function-${i}`)[0]?.id]));
    const stopped = record('node-3');
    for (let second = 0; second < 4; second++) {
      now += 1000;
      beat(record('node-1'), record('node-2'), { ...stopped, beat: -1 });
    }
    expect(live()).toEqual(NODES);
    expect(due()).toEqual(['node-3']);
    says('node-3', 'no_answer');
    expect(live()).toEqual(['node-1', 'node-2']);
    for (const [name, home] of homes) if (home !== 'node-3') expect(table.preference(name)[0]?.id).toBe(home);
    now += 1000;
    all();
    expect(live()).toEqual(['node-1', 'node-2']);
    expect(due()).toEqual(['node-3']);
    says('node-3', 'answers');
    for (const [name, home] of homes) expect(table.preference(name)[0]?.id).toBe(home);
  });

  it('keeps a node whose heartbeat is missed as long as its door answers, and asks it once a second', () => {
    all();
    for (let second = 0; second < 600; second++) {
      now += 1000;
      beat(...NODES.map((id) => record(id, { alive: false })));
      expect(due()).toEqual(NODES);
      for (const id of NODES) says(id, 'answers');
      expect(due()).toEqual([]);
    }
    expect(ids()).toHaveLength(3);
    expect(table.unheard).toBe(true);
    all();
    expect(table.unheard).toBe(false);
  });

  it('keeps the nodes of a store that was emptied as long as their doors answer', () => {
    all();
    beat();
    expect(due()).toEqual(NODES);
    for (const id of NODES) says(id, 'answers');
    beat();
    expect(ids()).toHaveLength(3);
  });

  it('forgets a node that left: the store does not name it, and its door takes nothing more or does not answer', () => {
    all();
    beat(record('node-1'));
    expect(due()).toEqual(['node-2', 'node-3']);
    says('node-2', 'leaving');
    says('node-3', 'no_answer');
    expect(live()).toEqual(['node-1']);
    expect(NODES.map((id) => table.find(id) !== undefined)).toEqual([true, false, false]);
  });

  it('uses a node that was away when it was first seen only when its door has answered', () => {
    beat(record('node-1'), record('node-2', { alive: false }));
    expect(live()).toEqual(['node-1']);
    expect(due()).toEqual(['node-2']);
    expect(says('node-2', 'answers')).toBe(true);
    expect(ids()).toHaveLength(2);
  });

  it('sends nothing to a draining node, but still lists it', () => {
    all();
    beat(record('node-1'), record('node-2', { draining: true }), record('node-3'));
    expect(ids()).not.toContain('node-2');
    expect(table.live()).toHaveLength(3);
  });

  it('sends on to a node that is only doubted, and to none that takes nothing more', () => {
    all();
    table.ask('node-1');
    expect(ids()).toHaveLength(3);
    expect(table.settle('node-1', 'leaving')).toBe(true);
    expect(ids()).not.toContain('node-1');
    now += 1000;
    expect(due()).toEqual(['node-1']);
    expect(says('node-1', 'answers')).toBe(true);
    expect(ids()).toHaveLength(3);
  });

  it('believes a fault of this machine of no node', () => {
    all();
    expect(says('node-1', 'undecided')).toBe(false);
    expect(ids()).toHaveLength(3);
    says('node-1', 'no_answer');
    expect(says('node-1', 'undecided')).toBe(false);
    expect(ids()).toHaveLength(2);
  });

  it('offers calls all nodes where none is in use', () => {
    all();
    for (const id of NODES) says(id, 'no_answer');
    expect(live()).toEqual([]);
    expect(ids()).toEqual([]);
    expect(
      table
        .order('hello')
        .map(({ id }) => id)
        .sort(),
    ).toEqual(NODES);
    says('node-2', 'answers');
    expect(ids()).toEqual(['node-2']);
  });

  it('takes the larger of its own count and a fresh report as load', () => {
    all();
    const load = () => table.live().find(({ id }) => id === 'node-1')!.load;
    const claim = table.find('node-1')!.claim(weighing(0.5));
    expect(load()).toBe(0.5);
    table.find('node-1')!.claim(weighing(0)).giveBack(7);
    expect(load()).toBe(7);
    now += 2001;
    expect(load()).toBe(0.5);
    claim.giveBack();
    claim.giveBack();
    expect(load()).toBe(0);
  });

  it('forgets the load of a node that came back as a new one', () => {
    all();
    const claim = table.find('node-1')!.claim(weighing(1));
    beat(record('node-2'));
    says('node-1', 'no_answer');
    all();
    expect(table.live().find(({ id }) => id === 'node-1')!.load).toBe(0);
    claim.giveBack();
    expect(table.live().find(({ id }) => id === 'node-1')!.load).toBe(0);
    expect(ids()).toContain('node-1');
  });
});
