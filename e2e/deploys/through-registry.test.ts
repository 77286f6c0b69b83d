import { type Cluster, startCluster } from '@kiln/testing/cluster';
import { engine, removeHolds, removeImages } from '@kiln/testing/engine';
import { type Service, startRegistry } from '@kiln/testing/service';
import { until } from '@kiln/testing/until';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { errorOf, fixture } from '../support/inside.js';

const NAME = 'steady';

let registry: Service;
let cluster: Cluster;

beforeAll(async () => {
  registry = await startRegistry();
  cluster = await startCluster({ env: { KILN_REGISTRY: `${registry.host}/team` } });
}, 600_000);
afterAll(async () => {
  await cluster?.stop();
  await removeImages(await namesInRegistry());
  // The last test has stopped it.
  await registry?.stop().catch(() => undefined);
});

async function namesInRegistry(): Promise<string[]> {
  const tags = (await engine.listImages()).flatMap(({ RepoTags }) => RepoTags ?? []);
  return tags.filter((tag) => tag.startsWith(`${registry.host}/`));
}

/** Files of which this test alone makes images: the same files are the same image on the engine, which another test names and uses. */
const files = (build: number) => ({ 'build.js': `module.exports = '${registry.host}, build ${build}';\n` });

/** As on a node that never had it. */
async function forgetImage(image: string): Promise<void> {
  await removeHolds(cluster.nodes);
  const { Id } = await engine.getImage(image).inspect();
  const { RepoTags, RepoDigests } = await engine.getImage(Id).inspect();
  await removeImages([...RepoTags, ...RepoDigests]);
  await expect(engine.getImage(Id).inspect()).rejects.toMatchObject({ statusCode: 404 });
}

const greeting = async () => (await cluster.call(`/fn/${NAME}/`)).headers['x-kiln-version'];

describe('a function whose images go through a registry', () => {
  it('is built, pushed and called, by the digest that the registry itself tells', async () => {
    const { image, digest } = await cluster.deploy(fixture(NAME), { name: NAME, files: files(1), config: { memory: 64 } });
    expect(image).toBe(`${registry.host}/team/${NAME}@${digest}`);
    const manifest = await fetch(`http://${registry.host}/v2/team/${NAME}/manifests/${digest}`, {
      headers: { accept: 'application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json' },
    });
    expect([manifest.status, manifest.headers.get('docker-content-digest')]).toEqual([200, digest]);
    expect(await greeting()).toBe('1');
  });

  it('is deployed again, pulled where its image is gone, and rolled back', async () => {
    const [first] = await cluster.versions(NAME);
    const second = await cluster.deploy(fixture(NAME), { name: NAME, files: files(2), config: { memory: 64 } });
    expect([second.version, await greeting()]).toEqual([2, '2']);
    await cluster.client.rollback(NAME);
    expect(await greeting()).toBe('1');
    await cluster.client.functions.remove(NAME);
    await until('nothing of it runs', async () => (await cluster.containers(NAME)).length === 0);
    for (const image of new Set([first?.image ?? '', second.image])) await forgetImage(image);
    await cluster.addVersion('pulled', second.image, { memory: 64 });
    expect((await cluster.call('/fn/pulled/')).status).toBe(200);
  });

  it('leaves no image behind where the registry is gone, and says so', async () => {
    await registry.stop();
    const error = await cluster.deploy(fixture('echo'), { name: 'unpushed' }).then(
      () => undefined,
      (reason: Error) => reason,
    );
    expect(error?.message).toMatch(/push to 127\.0\.0\.1:\d+: /);
    expect(await engine.listImages({ filters: { reference: ['kiln/unpushed'] } })).toEqual([]);
    expect((await namesInRegistry()).filter((name) => name.includes('unpushed'))).toEqual([]);
    expect(errorOf(await cluster.call('/fn/unpushed/'))).toBe('function_not_found');
  });
});
