import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { boundedHost } from '@kiln/engine/container-template';
import { engine } from '@kiln/testing/engine';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openStepGroup } from './bounds/step-group.js';
import { folderBytes } from './bounds/step-watch.js';
import { IntermediateImages } from './engine/intermediate-images.js';

const NODE = `t-steps-${process.pid}`;

describe('openStepGroup', () => {
  // The second version of control groups has one hierarchy for all.
  const hierarchy = existsSync('/sys/fs/cgroup/pids') ? '/sys/fs/cgroup/pids' : '/sys/fs/cgroup';
  const groups = () => readdirSync(hierarchy).filter((name) => name.includes(NODE));

  it('gives builds at the same time groups of their own, bounded, and leaves none', async () => {
    const one = await openStepGroup(engine, NODE, 77);
    const two = await openStepGroup(engine, NODE, 78);
    const limit = (parent: string) => readFileSync(join(hierarchy, parent, 'pids.max'), 'utf8').trim();
    expect([one.parent, two.parent]).toEqual([`/kiln-build-${NODE}-1`, `/kiln-build-${NODE}-2`]);
    expect([limit(one.parent), limit(two.parent)]).toEqual(['77', '78']);
    await one.close();
    const three = await openStepGroup(engine, NODE, 79);
    expect([three.parent, limit(three.parent)]).toEqual([one.parent, '79']);
    await Promise.all([two.close(), three.close()]);
    expect(groups()).toEqual([]);
  });
});

describe('openStepGroup with systemd', () => {
  const docker = { info: async () => ({ CgroupDriver: 'systemd' }) } as never;
  const NAME = `kiln_build_t_one_1.slice`;
  let cgroups: string;
  const asked: string[] = [];
  /** One that makes slices when it is asked to, and sets what it was told; or one that does not listen. */
  const systemd = (listens: boolean) => ({
    limitTasks: async (slice: string, tasks: number) => {
      asked.push(`limit ${slice} ${tasks}`);
      if (listens) makeSlice(slice, String(tasks));
    },
    end: async (slice: string) => {
      asked.push(`end ${slice}`);
      rmSync(join(cgroups, slice, 'pids.max'), { force: true });
    },
  });
  const makeSlice = (slice: string, tasks: string) => {
    mkdirSync(join(cgroups, slice));
    writeFileSync(join(cgroups, slice, 'pids.max'), tasks);
  };
  const limitOf = (slice: string) => readFileSync(join(cgroups, slice, 'pids.max'), 'utf8');

  beforeEach(() => {
    asked.length = 0;
    cgroups = mkdtempSync(join(tmpdir(), 'kiln-cgroups-'));
  });
  afterEach(() => rmSync(cgroups, { recursive: true, force: true }));

  it('has systemd bound the slice, by a name that is no child of another, and leaves no empty one', async () => {
    const group = await openStepGroup(docker, 't-one', 77, { cgroups, systemd: systemd(true) });
    expect([group.parent, limitOf(NAME)]).toEqual([NAME, '77']);
    await group.close();
    expect(asked).toEqual([`limit ${NAME} 77`, `end ${NAME}`]);
    expect(readdirSync(cgroups)).toEqual([]);
  });

  it('writes the limit itself once the slice is there, and again where it is lifted', async () => {
    const group = await openStepGroup(docker, 't-one', 78, { cgroups, systemd: systemd(false) });
    makeSlice(NAME, 'max');
    await vi.waitFor(() => expect(limitOf(NAME)).toBe('78'), 10_000);
    writeFileSync(join(cgroups, NAME, 'pids.max'), 'max\n');
    await vi.waitFor(() => expect(limitOf(NAME)).toBe('78'), 10_000);
    await group.close();
    expect(readdirSync(cgroups)).toEqual([]);
  });

  it.each([
    ['first', 'pids'],
    ['second', ''],
  ])('is not asked for a slice where the engine keeps groups itself, in the %s version of control groups', async (_which, hierarchy) => {
    mkdirSync(join(cgroups, hierarchy), { recursive: true });
    const own = { info: async () => ({ CgroupDriver: 'cgroupfs' }) } as never;
    const { parent, close } = await openStepGroup(own, 't-one', 77, { cgroups, systemd: systemd(true) });
    expect([parent, limitOf(join(hierarchy, 'kiln-build-t-one-1')), asked]).toEqual(['/kiln-build-t-one-1', '77', []]);
    await close();
  });

  it('gives a name back where the engine does not answer', async () => {
    const silent = { info: () => Promise.reject(new Error('no engine')) } as never;
    const host = { cgroups, systemd: systemd(false) };
    await expect(openStepGroup(silent, 't-one', 77, host)).rejects.toThrow('no engine');
    const group = await openStepGroup(docker, 't-one', 77, host);
    expect(group.parent).toBe(NAME);
    await group.close();
  });
});

describe('a container of the builder’s own', () => {
  it('is bounded in memory, swap, processor time, processes and core files', () => {
    expect(boundedHost({ memory: 64, cpus: 0.5, processes: 128 }, false)).toEqual({
      Init: true,
      Memory: 64 * 1024 * 1024,
      MemorySwap: 64 * 1024 * 1024,
      CpuPeriod: 100_000,
      CpuQuota: 50_000,
      CpuShares: 512,
      PidsLimit: 128,
      OomScoreAdj: 500,
      Ulimits: [{ Name: 'core', Soft: 0, Hard: 0 }],
    });
  });

  it('has systemd told that there is no swap, for it takes away a limit that it does not know', () => {
    expect(boundedHost({ memory: 64, cpus: 0.5, processes: 128 }, true).MemorySwap).toBe(64 * 1024 * 1024 + 1);
  });
});

describe('folderBytes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kiln-bytes-'));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('counts what lies on the disk below a folder, and tells what it can’t read from what is empty', async () => {
    mkdirSync(join(folder, 'a/b'), { recursive: true });
    writeFileSync(join(folder, 'a/b/c'), Buffer.alloc(100_000, 1));
    writeFileSync(join(folder, 'd'), Buffer.alloc(50_000, 1));
    const bytes = (await folderBytes(folder, 1e9)) ?? 0;
    expect(bytes).toBeGreaterThanOrEqual(150_000);
    expect(bytes).toBeLessThan(200_000);
    expect(await folderBytes(join(folder, 'gone'), 1e9)).toBeUndefined();
  });
});

describe('IntermediateImages', () => {
  it('touches nothing that was there before, whatever the output says', async () => {
    const { Id } = await engine.getImage('debian:trixie-slim').inspect();
    const made = new IntermediateImages(engine, Date.now());
    made.add(Id.slice(7, 19));
    made.add('0123456789ab');
    expect(await made.bytes()).toBe(0);
    await made.remove(new Set());
    expect((await engine.getImage('debian:trixie-slim').inspect()).Id).toBe(Id);
  });

  it('refuses more images than any build has', () => {
    const made = new IntermediateImages(engine, Date.now());
    expect(() => Array.from({ length: 1001 }, (_, i) => made.add(String(i)))).toThrowError(/more than 1000 steps/);
  });
});
