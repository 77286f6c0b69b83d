import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SecretsSet } from '@kiln/contract/records/secrets';
import type { Answer } from '@kiln/testing/call';
import { type Cluster, startCluster } from '@kiln/testing/cluster';
import { type Environment, startAgent, startRouter } from '@kiln/testing/cluster-programs';
import { engine } from '@kiln/testing/engine';
import { freePorts } from '@kiln/testing/ports';
import type { Program } from '@kiln/testing/program';
import { until } from '@kiln/testing/until';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fixture, inside, instanceOf, valueInside } from '../support/inside.js';
import { typeInto, watchForLeaks } from '../support/leaks.js';
import { filesBelow, holds, imageHolds } from '../support/traces.js';

const TOKEN = 'return process.env.TOKEN ?? null';

let cluster: Cluster;
/** Every value that is ever set here. */
const values: string[] = [];
/** Plain, and therefore to be found: what looks for values can find some. */
const PLAIN = `plain-${randomBytes(12).toString('hex')}`;
let image: string;

beforeAll(async () => {
  cluster = await startCluster({ nodes: 2, routers: 2 });
});
afterAll(() => cluster?.stop());

function newValue(): string {
  const value = `value-${randomBytes(12).toString('hex')}`;
  values.push(value);
  return value;
}

async function set(name: string, value: string): Promise<SecretsSet> {
  const answer = await cluster.api('PUT', `/v1/secrets/${name}`, { value });
  if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`);
  return answer.json<SecretsSet>();
}

const token = (name = 'keeper') => valueInside<string | null>(cluster, name, TOKEN);

describe('a secret', () => {
  it('is in the environment of its function, and in no process’s arguments or other container while that is built and run', async () => {
    const value = newValue();
    await set('TOKEN', value);
    const deploy = cluster.deploy(fixture('evaluate'), { name: 'keeper', config: { secrets: ['TOKEN'], env: { PLAIN } } });
    const built = await watchForLeaks(values, deploy);
    expect([built.found, built.looks > 3]).toEqual([[], true]);
    image = built.result.image;
    const called = await watchForLeaks(
      values,
      (async () => {
        for (let i = 0; i < 20; i += 1) expect(await token()).toBe(value);
      })(),
    );
    expect(called.found).toEqual([]);
    expect(await valueInside(cluster, 'keeper', 'return process.env.PLAIN')).toBe(PLAIN);
  });

  it('that changes shows in new instances at once, and in old ones never', async () => {
    const before = await token();
    const slow = inside(cluster, 'keeper', `await new Promise((resolve) => setTimeout(resolve, 5000)); ${TOKEN}`);
    const old = instanceOf(await inside(cluster, 'keeper', TOKEN));
    const value = newValue();
    expect((await set('TOKEN', value)).functions).toEqual([{ function: 'keeper', versions: [2] }]);
    for (const router of cluster.routers) {
      await until('the router sends calls to the new version', async () => {
        return (await inside(cluster, 'keeper', TOKEN, { router })).headers['x-kiln-version'] === '2';
      });
      const answer = await inside(cluster, 'keeper', TOKEN, { router });
      expect(answer.json()).toBe(value);
      expect(instanceOf(answer)).not.toBe(old);
    }
    expect((await slow).json()).toBe(before);
    const fixed: Answer = await cluster.call('/fn/keeper@1/', {
      method: 'POST',
      headers: { 'content-type': 'text/plain' },
      body: TOKEN,
    });
    expect(fixed.json()).toBe(before);
  });

  it('reaches every function that serves with it, with no call lost on the way', async () => {
    await cluster.addVersion('second', image, { secrets: ['TOKEN'], memory: 128 });
    const statuses = new Map<number, number>();
    let over = false;
    const load = (async () => {
      while (!over) {
        const { status } = await inside(cluster, 'second', TOKEN);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    })();
    const value = newValue();
    const { functions } = await set('TOKEN', value);
    over = true;
    await load;
    expect(functions).toEqual([
      { function: 'keeper', versions: [3] },
      { function: 'second', versions: [2] },
    ]);
    expect([...statuses.keys()]).toEqual([200]);
    expect([await token('keeper'), await token('second')]).toEqual([value, value]);
  });

  it('set at a terminal is not shown there, nor is one that a pipe or a file brings, and all reach the function', async () => {
    const kiln = join(import.meta.dirname, '../..', 'apps', 'cli', 'dist', 'main.js');
    const env = { ...process.env, KILN_URL: `http://127.0.0.1:${cluster.router.ports.control}`, KILN_API_KEY: cluster.shared.adminKey };
    const asked = `'${process.execPath}' '${kiln}' secrets set TOKEN -o json`;
    const ways: [string[], string?][] = [
      [['script', '--quiet', '--return', '--command', asked, '/dev/null'], 'Value of TOKEN: '],
      [[process.execPath, kiln, 'secrets', 'set', 'TOKEN', '-']],
    ];
    for (const [command, after] of ways) {
      const value = newValue();
      const { result, found } = await watchForLeaks(values, typeInto(command, value, { env, ...(after !== undefined && { after }) }));
      expect(result).toContain('"function"');
      expect([holds(result, values), found]).toEqual([false, []]);
      expect(await token()).toBe(value);
    }
  });

  it('is there for instances that start while Redis is away', async () => {
    const value = values.at(-1);
    await cluster.killRedis();
    for (const { id } of (await cluster.containers('keeper')).filter(({ role }) => role === 'instance')) {
      // What is drained already goes by itself.
      await engine
        .getContainer(id)
        .remove({ force: true })
        .catch(() => undefined);
    }
    await until('a new instance answers', async () => (await token()) === value);
    cluster.restartRedis();
    await cluster.ready();
  });

  it('is still there after kill -9 of everything', async () => {
    const value = values.at(-1);
    for (const member of [...cluster.routers, ...cluster.agents]) await cluster.kill(member);
    await cluster.killRedis();
    cluster.restartRedis();
    for (const member of [...cluster.routers, ...cluster.agents]) cluster.restart(member);
    await cluster.ready();
    await until('it serves again', async () => (await token()) === value, 60_000);
    expect((await cluster.api('GET', '/v1/secrets')).json()).toMatchObject({ items: [{ name: 'TOKEN', revision: 5 }] });
  });
});

describe('a process that is not of this cluster', () => {
  const start = async (which: 'router' | 'agent', env: Environment): Promise<Program> => {
    const [data, control] = (await freePorts(2)) as [number, number];
    const shared = { ...cluster.shared, env: { ...cluster.shared.env, ...env } };
    const ports = { data, control };
    return which === 'router' ? startRouter(9, ports, shared) : startAgent(`${cluster.nodes[0]}x`, ports, shared);
  };

  it.each([
    [
      'router',
      randomBytes(32).toString('hex'),
      /^KILN_MASTER_KEY holds the master key [0-9a-f]{12}, and this cluster's secrets are sealed with [0-9a-f]{12}: give every/,
    ],
    [
      'agent',
      randomBytes(32).toString('base64'),
      /^KILN_MASTER_KEY holds the master key [0-9a-f]{12}, and this cluster's secrets are sealed with [0-9a-f]{12}: give every/,
    ],
    ['router', '', /^KILN_MASTER_KEY is not set, and this cluster's secrets are sealed with the master key/],
    ['agent', '', /^KILN_MASTER_KEY is not set, and this cluster's secrets are sealed with the master key/],
    ['router', 'short', /^KILN_MASTER_KEY is \(hidden\): must be 32 bytes/],
    ['agent', 'short', /^KILN_MASTER_KEY is \(hidden\): must be 32 bytes/],
  ] as const)('%s with the key %j refuses to start, and says which key and what to do', async (which, key, said) => {
    const program = await start(which, { KILN_MASTER_KEY: key });
    const { code } = await program.exited;
    expect([code, program.stderr], program.stdout).toEqual([2, expect.stringMatching(said)]);
    if (key.length > 20) expect(program.stderr + program.stdout).not.toContain(key);
  });
});

describe('changing the master key', () => {
  const young = randomBytes(32).toString('base64');

  async function restartAll(env: Environment): Promise<void> {
    const shared = { ...cluster.shared, env: { ...cluster.shared.env, ...env } };
    for (const [i, router] of cluster.routers.entries()) {
      expect((await router.program.end(40_000)).code).toBe(0);
      router.program = startRouter(i, router.ports, shared);
    }
    for (const agent of cluster.agents) {
      expect((await agent.program.end(40_000)).code).toBe(0);
      agent.program = startAgent(agent.id, agent.ports, shared);
    }
    await cluster.ready();
  }

  it('goes through with both keys at hand, and then needs the new one only', async () => {
    const value = values.at(-1);
    const before = (await cluster.api('GET', '/v1/secrets')).text;
    await restartAll({ KILN_MASTER_KEY: young, KILN_MASTER_KEY_PREVIOUS: cluster.shared.masterKey });
    expect(await token()).toBe(value);
    const rotated = await cluster.api('POST', '/v1/secrets/rotate');
    expect([rotated.status, rotated.json()], rotated.text).toMatchObject([200, { resealed: 5, unreadable: [] }]);
    await restartAll({ KILN_MASTER_KEY: young });
    await until('an instance with the value answers', async () => (await token()) === value);
    expect((await cluster.api('GET', '/v1/secrets')).text).toBe(before);
    const next = newValue();
    await set('TOKEN', next);
    expect(await token()).toBe(next);
  }, 240_000);
});

describe('nowhere else', () => {
  it('in what Redis writes, its snapshot and its log of commands', () => {
    const redis = (...args: string[]) => execFileSync('redis-cli', ['-p', String(cluster.shared.redisPort), ...args], { encoding: 'utf8' });
    redis('CONFIG', 'SET', 'rdbcompression', 'no');
    expect(redis('SAVE')).toMatch(/OK/);
    const written = filesBelow(cluster.shared.home).filter((file) => /\.(rdb|aof)$/.test(file));
    expect(written.some((file) => file.endsWith('dump.rdb')) && written.some((file) => /incr\.aof$/.test(file))).toBe(true);
    expect(written.filter((file) => holds(readFileSync(file), [PLAIN])).length).toBeGreaterThan(1);
    expect(written.filter((file) => holds(readFileSync(file), values))).toEqual([]);
  });

  it('in any other file of the home, or in what routers and agents say', () => {
    expect(filesBelow(cluster.shared.home).filter((file) => holds(readFileSync(file), values))).toEqual([]);
    for (const { program } of [...cluster.routers, ...cluster.agents]) expect(holds(program.stdout + program.stderr, values)).toBe(false);
  });

  it('in any answer of the control API', async () => {
    const paths = [
      '/functions',
      '/functions/keeper',
      '/functions/keeper/versions',
      '/functions/keeper/instances',
      '/functions/keeper/logs',
    ];
    for (const path of [...paths, '/secrets', '/nodes', '/ring', '/openapi.json'].map((each) => `/v1${each}`).concat('/metrics')) {
      const answer = await cluster.api('GET', path);
      expect([path, answer.status, holds(answer.text, values)]).toEqual([path, 200, false]);
    }
    expect(holds((await cluster.api('GET', '/v1/functions/keeper/versions')).text, [PLAIN])).toBe(true);
  });

  it('in the image, its history and its layers', async () => {
    const { held, bytes } = await imageHolds(image, values);
    expect([held, bytes > 1_000_000]).toEqual([false, true]);
    // A plain variable stands in kiln.json, which is one of the sources; the image's own description has none.
    expect(holds(JSON.stringify([await engine.getImage(image).inspect(), await engine.getImage(image).history()]), [PLAIN])).toBe(false);
  });

  it('in what the engine knows of its instances, but for their own environment', async () => {
    const instances = (await cluster.containers('keeper')).filter(({ role }) => role === 'instance');
    expect(instances.length).toBeGreaterThan(0);
    for (const { id } of instances) {
      const { Config, ...rest } = await engine.getContainer(id).inspect();
      const { Env, ...config } = Config;
      expect(holds(JSON.stringify([rest, config]), values)).toBe(false);
      expect(holds(JSON.stringify(Env), values)).toBe(true);
    }
  });
});
