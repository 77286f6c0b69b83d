import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { engine } from '@kiln/testing/engine';
import { afterEach, describe, expect, it } from 'vitest';
import { MadeImages } from './made-images.js';
import { openStepGroup } from './step-group.js';
import { folderBytes } from './step-watch.js';

const NODE = `t-steps-${process.pid}`;

describe('openStepGroup', () => {
  const groups = () => readdirSync('/sys/fs/cgroup/pids').filter((name) => name.includes(NODE));

  it('gives builds at the same time groups of their own, bounded, and leaves none', async () => {
    const one = await openStepGroup(engine, NODE, 77);
    const two = await openStepGroup(engine, NODE, 78);
    const limit = (parent: string) => readFileSync(join('/sys/fs/cgroup/pids', parent, 'pids.max'), 'utf8').trim();
    expect([one.parent, two.parent]).toEqual([`/kiln-build-${NODE}-1`, `/kiln-build-${NODE}-2`]);
    expect([limit(one.parent), limit(two.parent)]).toEqual(['77', '78']);
    await one.close();
    const three = await openStepGroup(engine, NODE, 79);
    expect([three.parent, limit(three.parent)]).toEqual([one.parent, '79']);
    await Promise.all([two.close(), three.close()]);
    expect(groups()).toEqual([]);
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

describe('MadeImages', () => {
  it('touches nothing that was there before, whatever the output says', async () => {
    const { Id } = await engine.getImage('debian:trixie-slim').inspect();
    const made = new MadeImages(engine, Date.now());
    made.add(Id.slice(7, 19));
    made.add('0123456789ab');
    expect(await made.bytes()).toBe(0);
    await made.remove(new Set());
    expect((await engine.getImage('debian:trixie-slim').inspect()).Id).toBe(Id);
  });

  it('refuses more images than any build has', () => {
    const made = new MadeImages(engine, Date.now());
    expect(() => Array.from({ length: 1001 }, (_, i) => made.add(String(i)))).toThrowError(/more than 1000 steps/);
  });
});
