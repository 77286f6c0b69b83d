import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Cluster, type Member, startCluster } from '@kiln/testing/cluster';
import { until } from '@kiln/testing/until';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { example } from '../support/inside.js';

const WARM_UP = 200;
const LOOKS = 5;
const OURS = /\/((?:apps|packages)\/[^/]+)\/dist\/(.+)\.js$/;
/** What a reader has to open who follows one warm call. */
const MOST = { router: 17, both: 25 };

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({ env: { NODE_OPTIONS: `--import=${join(import.meta.dirname, '..', 'fixtures', 'count-files.mjs')}` } });
  await cluster.deploy(example('hello'), { name: 'hello' });
});
afterAll(() => cluster?.stop());

describe('a warm call', () => {
  it.each([
    ['by path', '/fn/hello/', {}],
    ['by host', '/', { host: 'hello.localhost' }],
  ])('%s runs through few files of the router and the agent', async (_how, path, headers) => {
    for (let i = 0; i < WARM_UP; i++) await cluster.call(path, { headers });
    const looks: Ran[] = [];
    for (let i = 0; i < LOOKS; i++) {
      await ran();
      expect((await cluster.call(path, { headers })).headers['x-kiln-start']).toBe('warm');
      looks.push(await ran());
    }
    const [router, agent] = (['router', 'agent'] as const).map((each) => inAll(looks.map((look) => look[each])));
    const both = new Set([...router!, ...agent!]);
    expect(router!.size, [...router!].join('\n')).toBeLessThanOrEqual(MOST.router);
    expect(both.size, [...both].join('\n')).toBeLessThanOrEqual(MOST.both);
  });
});

/** Files of ours of which a function ran since this was asked last. */
interface Ran {
  router: Set<string>;
  agent: Set<string>;
}

async function ran(): Promise<Ran> {
  const [router, agent] = await Promise.all([ranIn(cluster.router), ranIn(cluster.agents[0]!)]);
  return { router, agent };
}

async function ranIn({ program }: Member): Promise<Set<string>> {
  const answer = join(cluster.shared.temporary, `files-${program.pid}`);
  program.kill('SIGUSR2');
  await until(`${program.name} says which files ran`, () => existsSync(answer));
  const urls = JSON.parse(readFileSync(answer, 'utf8')) as string[];
  rmSync(answer);
  return new Set(urls.flatMap((url) => OURS.exec(url)?.slice(1).join('/src/') ?? []));
}

/** A heartbeat may fall into one look; what ran in each of them was the call's. */
function inAll([first, ...others]: Set<string>[]): Set<string> {
  return new Set([...first!].filter((file) => others.every((look) => look.has(file))).sort());
}
