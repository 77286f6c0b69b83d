import type { NodeView } from '@kiln/contract/api/control-api';
import { type Cluster, startCluster } from '@kiln/testing/cluster';
import { importImage } from '@kiln/testing/images/layered-image';
import { type Layer, nodeLayer, publishImage, randomLayer } from '@kiln/testing/images/published-image';
import { type Service, startRegistry } from '@kiln/testing/service';
import { SmallEngine } from '@kiln/testing/small-engine';
import { until } from '@kiln/testing/until';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { errorOf, instanceOf } from '../support/inside.js';

const MB = 1024 * 1024;
// The numbers of the promise with KILN_E2E_FULL=1: half an hour or more. Scaled down otherwise, in the same proportions.
const FULL = process.env['KILN_E2E_FULL'] === '1';
const { functions, versions, diskMegabytes, layerMegabytes } = FULL
  ? { functions: 200, versions: 10, diskMegabytes: 2048, layerMegabytes: 2 }
  : { functions: 3, versions: 10, diskMegabytes: 320, layerMegabytes: 12 };
const AT_ONCE = 3;
const CONFIG = { memory: 64, idleTimeout: 1000 };
const MARKS = { KILN_IMAGES_HIGH: 85, KILN_IMAGES_LOW: 75, KILN_IMAGES_GRACE: 3000 };
const names = Array.from({ length: functions }, (_, i) => `f${i + 1}`);

let small: SmallEngine;
let registry: Service;
let cluster: Cluster;
let base: Layer;
/** By function, in order: what its versions are made of. */
const images = new Map<string, string[]>();
const foreign = ['somebody/app:1', 'kiln/hello:latest', 'kiln-agent:latest', 'f1:latest'];
let highest = 0;
let measuring: NodeJS.Timeout;

beforeAll(async () => {
  small = await SmallEngine.start(diskMegabytes);
  registry = await startRegistry();
  base = await nodeLayer();
  await publishImage(registry.host, 'shared/base', [base]);
  cluster = await startCluster({ env: { DOCKER_HOST: small.dockerHost, KILN_REGISTRY: registry.host, ...MARKS } });
  for (const name of foreign) await importImage(...(name.split(':') as [string, string]), MB, small.docker);
  measuring = setInterval(() => {
    highest = Math.max(highest, small.used());
  }, 100);
}, 300_000);
afterAll(async () => {
  clearInterval(measuring);
  await cluster?.stop();
  await registry?.stop();
  await small?.stop();
}, 120_000);

async function deploy(name: string): Promise<void> {
  const image = await publishImage(registry.host, name, [base, await randomLayer(layerMegabytes * MB)]);
  images.set(name, [...(images.get(name) ?? []), image]);
  await cluster.addVersion(name, image, CONFIG);
}

async function inTurn<T>(items: readonly T[], action: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let i = next++; i < items.length; i = next++) await action(items[i] as T);
    }),
  );
}

const isHere = (image: string) =>
  small.docker
    .getImage(image)
    .inspect()
    .then(
      () => true,
      (error: { statusCode?: number }) => {
        if (error.statusCode !== 404) throw error;
        return false;
      },
    );

const warnings = async () =>
  (await cluster.api('GET', '/v1/nodes')).json<{ items: NodeView[] }>().items.flatMap(({ warnings: all }) => all);

describe(`${functions} functions of ${versions} versions each, ${layerMegabytes} MB apiece, on a disk of ${diskMegabytes} MB`, () => {
  let steady: string;
  let only: string;

  it(
    'are all deployed, though they would fill it more than once',
    async () => {
      await deploy('steady');
      // The only copy of an image: in no registry, and never called until the end.
      const onlyId = (await small.docker.getImage((images.get('steady') as string[])[0] as string).inspect()).Id;
      const committed = await small.docker.createContainer({ Image: onlyId, Cmd: ['/bin/node', '/server.js'], Labels: { mine: 'yes' } });
      only = ((await committed.commit({ changes: 'CMD ["/bin/node", "/server.js"]' })) as { Id: string }).Id;
      await committed.remove();
      await cluster.addVersion('only', only, CONFIG);
      await cluster.addVersion('steady', (images.get('steady') as string[])[0] as string, {
        ...CONFIG,
        idleTimeout: 3_600_000,
        minInstances: 1,
      });
      steady = String(instanceOf(await cluster.call('/fn/steady/')));

      const began = performance.now();
      const all = Array.from({ length: versions }, () => names).flat();
      expect(all.length * layerMegabytes, 'more than fits').toBeGreaterThan(diskMegabytes);
      await inTurn(all, deploy);
      const seconds = (performance.now() - began) / 1000;
      const kept = (await Promise.all([...images.values()].flat().map(isHere))).filter(Boolean).length;
      console.info(
        `disk: ${all.length} versions deployed in ${seconds.toFixed(0)} s; at most ${highest.toFixed(1)} % used, ${small.used().toFixed(1)} % now; ${kept} images here`,
      );
      expect(highest).toBeGreaterThan(MARKS.KILN_IMAGES_HIGH);
      expect(highest).toBeLessThan(100);
      expect(kept).toBeLessThan(all.length);
    },
    FULL ? 7_200_000 : 600_000,
  );

  it(
    'are all answered, in their newest version and in their first',
    async () => {
      await inTurn(names, async (name) => {
        const answers = [await cluster.call(`/fn/${name}/`), await cluster.call(`/fn/${name}@1/`)];
        expect(answers.map(({ status, text }) => `${status} ${text}`)).toEqual([`200 ${name} ${versions}`, `200 ${name} 1`]);
      });
    },
    FULL ? 1_200_000 : 240_000,
  );

  it('cost nobody else’s image, none in use and no only copy', async () => {
    expect(await Promise.all(foreign.map(isHere))).toEqual(foreign.map(() => true));
    expect(instanceOf(await cluster.call('/fn/steady/')), 'the instance that ran all along').toBe(steady);
    expect(await isHere((images.get('steady') as string[])[0] as string)).toBe(true);
    expect(await isHere(only)).toBe(true);
    expect((await cluster.call('/fn/only/')).text).toBe('only 1');
  });

  it('and those of a removed function leave the node and the registry', async () => {
    const [name = ''] = names;
    const removed = images.get(name) as string[];
    await cluster.call(`/fn/${name}/`);
    expect(await isHere(removed.at(-1) as string)).toBe(true);
    expect((await cluster.api('DELETE', `/v1/functions/${name}`)).status).toBeLessThan(300);
    await until('its images are gone', async () => !(await Promise.all(removed.map(isHere))).includes(true), 180_000);
    const [, digest] = (removed.at(-1) as string).split('@') as [string, string];
    await until('its manifest is gone', async () => (await fetch(`http://${registry.host}/v2/${name}/manifests/${digest}`)).status === 404);
    expect(await isHere('f1:latest')).toBe(true);
  }, 240_000);
});

describe('a disk that is full anyway', () => {
  it('stops deployments, which say so, and no running instance; and heals', async () => {
    const instance = instanceOf(await cluster.call('/fn/steady/'));
    const image = await publishImage(registry.host, 'late', [base, await randomLayer(2 * layerMegabytes * MB)]);
    // Until nothing of ours is left to make room with.
    let round = 0;
    await until(
      'the node says that its disk is full',
      async () => {
        small.fill(`filler-${round++}`);
        return (await warnings()).some((warning) => warning.includes('no image of ours can go'));
      },
      180_000,
    );
    small.fill('last');

    const refused = await cluster.api('POST', '/v1/functions/late/versions', { image, config: CONFIG });
    expect([refused.status, errorOf(refused), refused.text]).toEqual([
      503,
      'no_capacity',
      expect.stringContaining('disk of this node is full'),
    ]);
    const answers = await Promise.all(Array.from({ length: 50 }, () => cluster.call('/fn/steady/')));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(new Set(answers.map(instanceOf))).toContain(instance);

    for (let i = 0; i < round; i++) small.empty(`filler-${i}`);
    small.empty('last');
    await cluster.addVersion('late', image, CONFIG);
    expect((await cluster.call('/fn/late/')).text).toMatch(/^late \d$/);
    await until('the warning is gone', async () => (await warnings()).every((warning) => !warning.includes('no image of ours')), 120_000);
  }, 420_000);
});
