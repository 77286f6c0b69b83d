import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { push } from '@kiln/builder/engine/registry';
import { Registries } from '@kiln/registry/registries';
import { engine, removeHolds, removeImages } from '@kiln/testing/engine';
import { importImage } from '@kiln/testing/images/layered-image';
import { LOGIN, type Service, startRegistry } from '@kiln/testing/service';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Images } from '../../images/images.js';
import { DockerImages } from './docker-images.js';
import { PullProgress } from './pull-progress.js';

const name = `t-pull-${randomBytes(4).toString('hex')}`;
const NODE = `t-${randomBytes(4).toString('hex')}`;
const MISSING = `sha256:${'0'.repeat(64)}`;

describe('images of a registry that asks for a password', () => {
  let server: Service;
  let folder: string;
  let registries: Registries;
  const used = new Set<string>();
  const lines: string[] = [];

  beforeAll(async () => {
    server = await startRegistry({ password: true });
    folder = mkdtempSync(join(tmpdir(), 'kiln-pull-'));
    const path = join(folder, 'registries.json');
    writeFileSync(path, JSON.stringify({ auths: { [server.host]: LOGIN } }), { mode: 0o600 });
    registries = new Registries({ path, optional: false });
  }, 300_000);
  afterAll(async () => {
    await removeHolds([NODE]);
    await removeImages(used);
    rmSync(folder, { recursive: true, force: true });
    await server?.stop();
  });

  /** A node that has seen nothing yet. */
  const fresh = (by = registries) =>
    new Images({ engine: new DockerImages(engine, NODE), registries: by, onLine: (line) => lines.push(line) });

  /** Another content under the tag, in the registry and nowhere else. */
  async function published(tag: string): Promise<string> {
    const [local, remote] = [`kiln/${name}:${tag}`, `${server.host}/${name}:${tag}`];
    const image = await importImage(`kiln/${name}`, tag, 100_000);
    const { signal } = new AbortController();
    const pushed = await push(
      { docker: engine, onLine: () => undefined, signal },
      { image, name, tag },
      { prefix: server.host, registries },
    );
    await removeImages([remote, local]);
    used.add(remote).add(pushed.image);
    return pushed.image;
  }

  it('are pulled by digest, once', async () => {
    const pinned = await published('once');
    const images = fresh();
    const [first, second] = await Promise.all([images.ensure(pinned), images.ensure(pinned)]);
    expect([first?.pinned, first]).toEqual([pinned, second]);
    expect(lines.filter((line) => line.includes(pinned) && line.endsWith('begins'))).toHaveLength(1);
  });

  it('stay what they were when their tag moves', async () => {
    const before = await published('moves');
    const tagged = `${server.host}/${name}:moves`;
    expect((await fresh().facts(tagged)).image).toBe(before);
    expect((await engine.getImage(before).inspect()).RepoTags, 'no tag is left by it').not.toContain(tagged);
    const after = await published('moves');
    expect(after).not.toBe(before);
    expect((await fresh().ensure(before)).pinned).toBe(before);
    expect((await fresh().facts(tagged)).image).toBe(after);
  });

  it('that were never in it are told by their id, though their name is that of a registry', async () => {
    const [tagged, own] = [`${server.host}/${name}:local`, `${name}-local:1`];
    for (const reference of [tagged, own]) {
      const id = await importImage(reference.slice(0, reference.lastIndexOf(':')), reference.slice(reference.lastIndexOf(':') + 1));
      used.add(reference);
      expect(await fresh().facts(reference)).toMatchObject({ image: id, digest: id });
    }
  });

  it('are refused without the password, in words that do not hold it', async () => {
    const pinned = await published('locked');
    await expect(fresh(new Registries()).ensure(pinned)).rejects.toMatchObject({ code: 'start_failed' });
    await fresh().ensure(pinned);
    expect(lines.join('\n')).not.toContain(LOGIN.password);
  });

  it('that are not there say so', async () => {
    await expect(fresh().ensure(`${server.host}/${name}@${MISSING}`)).rejects.toMatchObject({
      code: 'start_failed',
      message: expect.stringMatching(/cannot be pulled: .*(unknown|not found)/),
    });
  });
});

describe('a registry that stops answering', () => {
  const digestOf = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}`;
  const MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
  const config = JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [MISSING] } });
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: { mediaType: 'application/vnd.docker.container.image.v1+json', size: config.length, digest: digestOf(config) },
    layers: [{ mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip', size: 1_000_000, digest: digestOf(name) }],
  });
  /** Answers up to the manifest or not even so far, and then says nothing more. */
  const registry = (known: string) =>
    http.createServer(({ url = '' }, response) => {
      if (url === '/v2/') response.end('{}');
      if (url.endsWith(known)) response.writeHead(200, { 'content-type': MANIFEST, 'docker-content-digest': known }).end(manifest);
      if (url.endsWith(digestOf(config))) response.end(config);
    });

  it.each([
    ['before the manifest', 'nothing', { start: 500 }, /did not begin a pull within 500 ms/],
    ['in a layer', digestOf(manifest), { silence: 500 }, /no progress for 0.5 s/],
    ['in a layer for too long', digestOf(manifest), { total: 800 }, /not done within 0.8 s/],
  ])('%s is given up', async (_when, known, bound, message) => {
    const server = registry(known);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const image = `127.0.0.1:${(server.address() as AddressInfo).port}/${name}@${digestOf(manifest)}`;
      const images = new DockerImages(engine, NODE, { start: 20_000, silence: 20_000, total: 20_000, ...bound });
      await expect(images.pull(image, undefined, () => undefined)).rejects.toThrow(message);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});

describe('progress of a pull', () => {
  it('counts layers and bytes over all of them', () => {
    const progress = new PullProgress();
    const layer = (i: number, status: string, current?: number, total?: number) =>
      progress.add({
        id: String(i).repeat(12),
        status,
        ...(current !== undefined && total !== undefined && { progressDetail: { current, total } }),
      });
    layer(1, 'Already exists');
    layer(2, 'Downloading', 1024 * 1024, 8 * 1024 * 1024);
    layer(3, 'Downloading', 1, 2 * 1024 * 1024);
    layer(3, 'Download complete');
    layer(3, 'Pull complete');
    progress.add({ status: 'Status: Downloading newer image' });
    expect(progress.line).toBe('2 of 3 layers, 3 of 10 MB');
  });
});
