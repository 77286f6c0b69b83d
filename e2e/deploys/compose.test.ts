import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Deployed, NodeView } from '@kiln/contract/api/control-api';
import { call } from '@kiln/testing/call';
import { GitFolder } from '@kiln/testing/git-folder';
import { until } from '@kiln/testing/until';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { example, fixture, instanceOf, nodeOf, startOf } from '../support/inside.js';
import { canConnect, tryAll } from '../support/reachable.js';
import { ComposeProject } from './compose-project.js';

let cluster: ComposeProject;

beforeAll(async () => {
  cluster = await ComposeProject.create();
  await cluster.up();
}, 1_200_000);
afterAll(async () => {
  expect(await cluster?.down()).toEqual([]);
}, 180_000);

async function liveNodes(): Promise<NodeView[]> {
  return (await cluster.kiln<NodeView[]>('nodes', 'ls')).filter(({ live }) => live);
}

describe('docker compose up in infra/compose', () => {
  it('brings three nodes that have nothing to warn of', async () => {
    const nodes = await until('three nodes are live', async () => {
      const live = await liveNodes();
      return live.length === 3 && live;
    });
    expect(nodes.map(({ id }) => id).sort()).toEqual([...cluster.nodes]);
    expect(nodes.flatMap(({ id, warnings }) => warnings.map((warning) => `${id}: ${warning}`))).toEqual([]);
  });

  it('deploys through the load balancer and the registry', async () => {
    const deployed = await cluster.kiln<Deployed>('deploy', example('hello'));
    expect(deployed).toMatchObject({
      function: 'hello',
      version: 1,
      url: expect.stringContaining(`https://localhost:${cluster.ports.https}/`),
    });
    const catalog = await call(cluster.ports.registry, '/v2/_catalog');
    expect(catalog.json<{ repositories: string[] }>().repositories.filter((name) => name.includes('hello'))).toHaveLength(1);
  });

  it('takes pushes, though the requests of one may reach either router', async () => {
    const { apiKey } = JSON.parse(readFileSync(join(cluster.home, 'credentials.json'), 'utf8')) as { apiKey: string };
    const folder = await GitFolder.init();
    try {
      await folder.git('config', 'http.sslCAInfo', join(cluster.home, 'ca.crt'));
      await folder.git('remote', 'add', 'kiln', `https://git:${apiKey}@localhost:${cluster.ports.control}/git/pushed.git`);
      for (const text of ['one', 'two', 'three']) {
        await folder.commit({ 'index.js': `export default (req, res) => res.send('${text}');` });
        expect((await folder.git('push', 'kiln', 'main')).text).toContain('pushed: version');
        expect((await cluster.call('/fn/pushed/')).text).toBe(text);
      }
    } finally {
      folder.remove();
    }
  }, 180_000);

  it('answers over HTTPS by path and by host, always on one node, warm from the second call on', async () => {
    const first = await cluster.call('/fn/hello/');
    expect(first.status, first.text).toBe(200);
    // Enough that both routers had their turn.
    for (let i = 0; i < 8; i += 1) {
      const next = await (i % 2 === 0 ? cluster.call('/fn/hello/') : cluster.call('/', { host: 'hello.kiln.localhost' }));
      expect([next.status, nodeOf(next), instanceOf(next), startOf(next)]).toEqual([200, nodeOf(first), instanceOf(first), 'warm']);
    }
  });

  it('tells the function who called, over what', async () => {
    await cluster.kiln('deploy', fixture('evaluate'), '--name', 'evaluate');
    const code = 'return { proto: req.get("x-forwarded-proto"), host: req.get("x-forwarded-host"), for: req.get("x-forwarded-for") }';
    const headers = { 'content-type': 'text/plain', 'x-forwarded-for': '8.8.8.8', 'x-forwarded-proto': 'gopher' };
    const answer = await cluster.call('/fn/evaluate/', { method: 'POST', body: code, headers });
    expect(answer.status, answer.text).toBe(200);
    expect(answer.json()).toMatchObject({
      proto: 'https',
      host: `localhost:${cluster.ports.https}`,
      for: expect.not.stringContaining('8.8.8.8'),
    });
  });

  it('keeps functions from agents, Redis, registry and load balancer', async () => {
    const addresses = (await cluster.compose(['exec', '-T', 'router-1', 'cat', '/etc/hosts'])).split('\n');
    const host = addresses.find((line) => line.includes('host.docker.internal'))?.split(/\s+/)[0] as string;
    const { https, control, redis, registry } = cluster.ports;
    const targets = [9200, 9201, 9210, 9211, 9220, 9221, https, control, redis, registry].map((port) => ({ host, port }));
    const reachable = targets.filter(({ port }) => port !== redis && port !== registry);
    expect(await Promise.all(reachable.map((target) => canConnect(target.host, target.port)))).toEqual(reachable.map(() => 'open'));
    const internal = await Promise.all(['redis', 'router-1', 'load-balancer'].map((service) => addressOf(service)));
    const behind = [6379, 8080, 8443].map((port, i) => ({ host: internal[i] as string, port }));
    expect(await Promise.all(behind.map((target) => canConnect(target.host, target.port)))).toEqual(behind.map(() => 'open'));
    const headers = { 'content-type': 'text/plain' };
    const answer = await cluster.call('/fn/evaluate/', { method: 'POST', body: tryAll([...targets, ...behind]), headers });
    expect(answer.status, answer.text).toBe(200);
    expect(Object.entries(answer.json<Record<string, string>>()).filter(([, outcome]) => outcome === 'open')).toEqual([]);
  });

  it('goes on answering when the node that served is stopped, and leaves nothing of it behind', async () => {
    const before = await cluster.call('/fn/hello/');
    const stopped = cluster.nodes.indexOf(String(nodeOf(before)));
    const stopping = cluster.compose(['stop', `agent-${stopped + 1}`]);
    const during: number[] = [];
    let done = false;
    void stopping.finally(() => {
      done = true;
    });
    while (!done) during.push((await cluster.call('/fn/hello/')).status);
    await stopping;
    for (let i = 0; i < 5; i += 1) during.push((await cluster.call('/fn/hello/')).status);

    expect(during.filter((status) => status !== 200)).toEqual([]);
    expect(nodeOf(await cluster.call('/fn/hello/'))).not.toBe(cluster.nodes[stopped]);
    await until('two nodes are left', async () => (await liveNodes()).length === 2);
  });

  it('goes on answering with one of its two routers', async () => {
    await cluster.compose(['stop', 'router-1']);
    for (let i = 0; i < 5; i += 1) expect((await cluster.call('/fn/hello/')).status).toBe(200);
  });

  it('knows its functions again after it was taken down and up', async () => {
    await cluster.compose(['down']);
    await cluster.compose(['up', '--detach'], 300_000);
    const answer = await until('the function answers again', async () => {
      const next = await cluster.call('/fn/hello/');
      return next.status === 200 && next;
    });
    expect(answer.headers['x-kiln-version']).toBe('1');
  }, 400_000);
});

async function addressOf(service: string): Promise<string> {
  const hosts = await cluster.compose(['exec', '-T', service, 'cat', '/etc/hosts']);
  return hosts.trim().split('\n').at(-1)?.split(/\s+/)[0] as string;
}
