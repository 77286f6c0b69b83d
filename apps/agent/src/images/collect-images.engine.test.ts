import { randomBytes } from 'node:crypto';
import { push } from '@kiln/builder/engine/registry';
import { KilnError } from '@kiln/contract/errors';
import { pinnedReference } from '@kiln/registry/reference';
import { Registries } from '@kiln/registry/registries';
import { engine, removeHolds, removeImages } from '@kiln/testing/engine';
import { importImage } from '@kiln/testing/images/layered-image';
import { type Service, startRegistry } from '@kiln/testing/service';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DockerImages } from '../docker/images/docker-images.js';
import { DockerStock } from '../docker/images/docker-stock.js';
import { ImageCollector } from './collect-images.js';
import { Images } from './images.js';
import { RegistryCleaner } from './registry-cleaner.js';

const name = `t-collect-${randomBytes(4).toString('hex')}`;
const HOUR = 3_600_000;
const FULL = expect.stringMatching(/above 85 % and no image of ours can go/);
const hex = () => randomBytes(16).toString('hex');

let server: Service;
const registries = new Registries();
const used = new Set<string>();
const nodes: string[] = [];

beforeAll(async () => {
  server = await startRegistry();
}, 300_000);
afterEach(async () => {
  await removeHolds(nodes.splice(0));
  await removeImages(used);
  used.clear();
});
afterAll(() => server?.stop());

/** One node's collector on the real engine, with a clock that can be turned and a disk that is as full as it is told to be. */
class Node {
  readonly id = `t-${randomBytes(4).toString('hex')}`;
  readonly lines: string[] = [];
  readonly troubles: string[] = [];
  readonly images = new Images({ engine: new DockerImages(engine, this.id), registries, now: () => this.now });
  readonly collector: ImageCollector;
  wanted: string[] | undefined = [];
  running: string[] = [];
  disk = () => 50;
  now = Date.now();

  constructor() {
    nodes.push(this.id);
    const prefix = server.host;
    const say = { onLine: (line: string) => this.lines.push(line), onTrouble: (message: string) => this.troubles.push(message) };
    this.collector = new ImageCollector({
      ...say,
      node: this.id,
      prefix,
      stock: new DockerStock(engine, this.id),
      images: this.images,
      registries,
      cleaner: new RegistryCleaner({ ...say, prefix, registries, mayRemove: () => true }),
      marks: { high: 85, low: 75 },
      graceMs: HOUR,
      versions: async () => this.versions(),
      running: () => this.running,
      used: async () => this.disk(),
      now: () => this.now,
    });
  }

  /** Looks as if so much time had passed. */
  async lookAfter(ms: number, troubles: string[] = []): Promise<void> {
    this.now += ms;
    this.collector.wake();
    await this.collector.check();
    expect(this.troubles.splice(0)).toEqual(troubles);
  }

  private versions() {
    if (this.wanted === undefined) throw new KilnError('unavailable', 'the store is away');
    return this.wanted.map((image, i) => ({ function: name, version: i + 1, image, createdAt: new Date(0).toISOString() }));
  }
}

const exists = (reference: string) =>
  engine
    .getImage(reference)
    .inspect()
    .then(
      () => true,
      () => false,
    );

/** As a build leaves it. */
async function built(node: Node): Promise<string> {
  const tag = hex();
  const id = await importImage(`kiln/${name}`, tag);
  used.add(`kiln/${name}:${tag}`);
  await node.images.keep(id);
  return id;
}

/** Built and pushed. */
async function pushed(node: Node): Promise<{ id: string; pinned: string }> {
  const tag = hex();
  const image = await importImage(`kiln/${name}`, tag);
  const run = { docker: engine, onLine: () => undefined, signal: new AbortController().signal };
  const pinned = await push(run, { image, name, tag }, { prefix: server.host, registries });
  used.add(`kiln/${name}:${tag}`).add(`${server.host}/${name}:${tag}`).add(pinned.image);
  await node.images.keep(pinned.image);
  return { id: image, pinned: pinned.image };
}

describe('images of removed versions', () => {
  let node: Node;
  beforeEach(() => {
    node = new Node();
  });

  it('go after the grace, and nothing else does', async () => {
    const [kept, removed] = [await built(node), await built(node)];
    const foreign = await importImage(`${name}-foreign`, 'latest');
    used.add(`${name}-foreign:latest`);
    node.wanted = [kept];
    await node.lookAfter(2 * HOUR);
    expect(await exists(removed), 'the grace begins when it is seen to be unneeded').toBe(true);
    await node.lookAfter(HOUR - 1);
    expect(await exists(removed)).toBe(true);
    await node.lookAfter(1);
    expect([await exists(removed), await exists(kept), await exists(foreign)]).toEqual([false, true, true]);
    expect(node.lines.filter((line) => line.startsWith('removed'))).toHaveLength(1);
    expect([node.collector.measured, node.collector.removed]).toEqual([
      { used: node.disk() / 100, held: 1 },
      { removed: 1, unneeded: 0, elsewhere: 0 },
    ]);
  });

  it('stay while another node of the engine holds them', async () => {
    const other = new Node();
    const id = await built(node);
    await other.images.ensure(id);
    other.wanted = [id];
    for (const each of [node, other]) {
      await each.lookAfter(0);
      await each.lookAfter(2 * HOUR);
    }
    expect(await exists(id)).toBe(true);
    other.wanted = [];
    await other.lookAfter(0);
    await other.lookAfter(HOUR);
    expect(await exists(id)).toBe(false);
  });

  it('stay where a user gave them a name too', async () => {
    const id = await built(node);
    await engine.getImage(id).tag({ repo: `${name}-mine`, tag: '1' });
    used.add(`${name}-mine:1`);
    await node.lookAfter(0);
    await node.lookAfter(2 * HOUR);
    expect((await engine.getImage(id).inspect()).RepoTags).toEqual([`${name}-mine:1`]);
  });

  it('stay while a container is made of them, though it is not ours and does not run', async () => {
    const id = await built(node);
    const container = await engine.createContainer({ Image: id, Cmd: ['/none'] });
    try {
      await node.lookAfter(0);
      await node.lookAfter(2 * HOUR);
      expect(await exists(id)).toBe(true);
    } finally {
      await container.remove({ force: true });
    }
    await node.lookAfter(0);
    expect(await exists(id)).toBe(false);
  });

  it('stay while the store can’t say that they were removed', async () => {
    const id = await built(node);
    await node.lookAfter(0);
    node.wanted = undefined;
    node.now += 2 * HOUR;
    node.collector.wake();
    await node.collector.check();
    expect([await exists(id), node.troubles.length]).toEqual([true, 1]);
  });

  it('go from the registry as well, but not what another version needs', async () => {
    const [removed, kept] = [await pushed(node), await pushed(node)];
    node.wanted = [kept.pinned];
    await node.lookAfter(0);
    await node.lookAfter(HOUR);
    expect([await exists(removed.id), await exists(kept.id)]).toEqual([false, true]);
    const left = await Promise.all([removed, kept].map(({ pinned }) => registries.remove(pinnedReference(pinned) as never)));
    expect(left).toEqual(['gone', 'removed']);
  });
});

describe('a disk above its high mark', () => {
  let node: Node;
  beforeEach(() => {
    node = new Node();
  });

  /** A disk on which every image takes so many percent. */
  function holding(ids: string[], percentEach: number): () => Promise<boolean[]> {
    const gone = () => node.lines.filter((line) => line.startsWith('removed image')).length;
    node.disk = () => (ids.length - gone()) * percentEach;
    return () => Promise.all(ids.map(exists));
  }

  it('loses what a registry has, the least recently used first, until it is below the low mark, and no only copy', async () => {
    const only = await built(node);
    const images = [];
    for (let i = 0; i < 4; i++) {
      images.push(await pushed(node));
      node.now += 1000;
    }
    const [a, b, c, d] = images as [(typeof images)[0], (typeof images)[0], (typeof images)[0], (typeof images)[0]];
    node.wanted = [only, ...images.map(({ pinned }) => pinned)];
    node.now += 120_000;
    await node.images.ensure(a.pinned);
    node.running = [b.pinned];
    const left = holding([only, a.id, b.id, c.id, d.id], 18);
    await node.lookAfter(120_000);
    expect(await left(), 'c was used longest ago of those without instances').toEqual([true, true, true, false, true]);
    await node.images.ensure(c.pinned);
    expect(await exists(c.id), 'and is had again when it is needed').toBe(true);
  });

  it('makes room before a pull, not at the next look', async () => {
    const removed = await built(node);
    const { id, pinned } = await pushed(node);
    await removeImages([`${server.host}/${name}@${pinned.split('@')[1]}`, ...(await engine.getImage(id).inspect()).RepoTags]);
    node.wanted = [pinned];
    await node.lookAfter(0);
    node.now += 120_000;
    node.disk = () => (node.lines.some((line) => line.startsWith('removed image')) ? 50 : 90);
    node.images.makeRoom = () => node.collector.makeRoom();
    await node.images.ensure(pinned);
    expect([await exists(removed), await exists(id)]).toEqual([false, true]);
  });

  it('loses nothing that the registry turns out not to have', async () => {
    const { id, pinned } = await pushed(node);
    await registries.remove(pinnedReference(pinned) as never);
    node.wanted = [pinned];
    const left = holding([id], 90);
    await node.lookAfter(HOUR, [FULL]);
    expect(await left()).toEqual([true]);
  });

  it('says so where nothing of ours can go', async () => {
    const id = await built(node);
    node.wanted = [id];
    node.disk = () => 90;
    await node.lookAfter(HOUR, [FULL]);
    expect([await exists(id), node.collector.warning]).toEqual([true, FULL]);
    await node.lookAfter(HOUR);
    node.disk = () => 50;
    await node.lookAfter(0);
    expect(node.collector.warning).toBeUndefined();
  });
});
