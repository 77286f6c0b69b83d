import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import net from 'node:net';
import { networkInterfaces } from 'node:os';
import { type Cluster, startCluster } from '@kiln/testing/cluster';
import { engine } from '@kiln/testing/engine';
import { freePorts } from '@kiln/testing/ports';
import { until } from '@kiln/testing/until';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fixture, valueInside } from '../support/inside.js';
import { canConnect, tryAll } from '../support/reachable.js';
import { OUTSIDE, startOutside } from './outside.js';

const run = randomBytes(3).toString('hex');

let cluster: Cluster;
let outside: { stop(): void };
let onHost: net.Server;
let neighbour: string;
/** Of either kind: at least, and at most. */
const FUNCTIONS = 3;
const MAX_FUNCTIONS = 40;
let runners: string[];
let ports: { outside: number; host: number; published: number };

beforeAll(async () => {
  const [first, second, third] = (await freePorts(3)) as [number, number, number];
  ports = { outside: first, host: second, published: third };
  outside = await startOutside(ports.outside);
  onHost = net.createServer((socket) => socket.on('error', () => {}).end('host')).listen(ports.host, '0.0.0.0');
  // Everything of Kiln's listens on all of the machine's addresses, so that only the rules stand between.
  cluster = await startCluster({ nodes: 2, env: { KILN_BIND: '0.0.0.0' } });
  const { image } = await cluster.deploy(fixture('evaluate'), { name: 'runner' });
  const echo = await cluster.deploy(fixture('echo'), { name: 'echo' });
  runners = await spread('runner', image);
  await spread('echo', echo.image);
  neighbour = await startNeighbour(echo.image);
});

afterAll(async () => {
  await cluster?.stop();
  if (neighbour) await engine.getContainer(neighbour).remove({ force: true, v: true });
  onHost?.close();
  outside?.stop();
});

/** Functions of the image on both nodes: where one is at home depends on the nodes' random names. */
async function spread(prefix: string, image: string): Promise<string[]> {
  const names: string[] = [];
  const homes = new Set<string>();
  while (homes.size < 2 || names.length < FUNCTIONS) {
    if (names.length === MAX_FUNCTIONS) throw new Error(`${names.length} functions are all at home on ${[...homes]}`);
    const name = `${prefix}-${names.length + 1}`;
    await cluster.addVersion(name, image);
    homes.add(String((await cluster.call(`/fn/${name}/`)).headers['x-kiln-node']));
    names.push(name);
  }
  return names;
}

/** A container that is none of Kiln's, on the engine's default network, with a published port. */
async function startNeighbour(image: string): Promise<string> {
  const container = await engine.createContainer({
    Image: image,
    name: `e2e-neighbour-${run}`,
    Env: ['PORT=8080'],
    Cmd: ['node', '/server.mjs'],
    ExposedPorts: { '8080/tcp': {} },
    HostConfig: { PortBindings: { '8080/tcp': [{ HostIp: '0.0.0.0', HostPort: String(ports.published) }] } },
  });
  await container.start();
  await until('the neighbour listens', async () => (await canConnect('127.0.0.1', ports.published)) === 'open');
  return container.id;
}

const hostAddresses = () =>
  Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ family, internal }) => family === 'IPv4' && !internal)
    .map(({ address }) => address);

async function addressOf(id: string): Promise<string | undefined> {
  const { NetworkSettings } = await engine.getContainer(id).inspect();
  return Object.values(NetworkSettings.Networks).find(({ IPAddress }) => IPAddress !== '')?.IPAddress;
}

async function fromInside(targets: { host: string; port: number }[], name = 'runner'): Promise<Record<string, string>> {
  return valueInside(cluster, name, tryAll(targets));
}

function expectNoneOpen(outcomes: Record<string, string>): void {
  expect(Object.entries(outcomes).filter(([, outcome]) => outcome === 'open')).toEqual([]);
}

describe('attack 35: from inside a function', () => {
  it('the outside is reached: public addresses, and private ones that are not a node’s', async () => {
    expect(
      await fromInside([
        { host: OUTSIDE.public, port: ports.outside },
        { host: OUTSIDE.private, port: ports.outside },
      ]),
    ).toEqual({ [`${OUTSIDE.public}:${ports.outside}`]: 'open', [`${OUTSIDE.private}:${ports.outside}`]: 'open' });
  });

  it('the metadata services of clouds are not', async () => {
    expectNoneOpen(
      await fromInside([
        { host: OUTSIDE.metadata, port: ports.outside },
        { host: OUTSIDE.metadata, port: 80 },
        { host: OUTSIDE.credentials, port: ports.outside },
        { host: 'fd00:ec2::254', port: 80 },
      ]),
    );
  });

  it('the host’s own addresses are not, on any port that listens: router, agent, control, another program', async () => {
    const listening = [
      ports.host,
      ...cluster.routers.flatMap((router) => Object.values(router.ports)),
      ...cluster.agents.flatMap((agent) => Object.values(agent.ports)),
      cluster.shared.redisPort,
    ];
    const targets = hostAddresses().flatMap((host) => listening.map((port) => ({ host, port })));
    const fromHere = await Promise.all(targets.map(({ host, port }) => canConnect(host, port)));
    expect(fromHere.filter((outcome) => outcome === 'open').length, 'listeners that the machine itself reaches').toBeGreaterThan(
      listening.length - 1,
    );
    for (const name of runners) expectNoneOpen(await fromInside(targets, name));
  });

  it('other loopback and special addresses lead nowhere', async () => {
    expectNoneOpen(
      await fromInside(
        ['127.0.0.1', '0.0.0.0', '::1', 'host.docker.internal'].flatMap((host) => [
          { host, port: ports.host },
          { host, port: cluster.shared.redisPort },
        ]),
      ),
    );
  });

  it('another node’s address is not, once it has joined', async () => {
    const now = new Date().toISOString();
    const url = (port: number) => `http://${OUTSIDE.node}:${port}`;
    const record = {
      id: `e2e-${run}-far`,
      dataUrl: url(9200),
      controlUrl: url(9201),
      weight: 1,
      cores: 1,
      memory: 0,
      memoryPromised: 0,
      load: 0,
      instances: 0,
      draining: true,
      epoch: run,
      beat: 1,
      startedAt: now,
      warnings: [],
    };
    const redis = (...args: string[]) =>
      execFileSync('redis-cli', ['-p', String(cluster.shared.redisPort), ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    redis('HSET', 'kiln:nodes', record.id, JSON.stringify(record));
    redis('SET', `kiln:node-alive:${record.id}`, run, 'PX', '60000');
    const target = { host: OUTSIDE.node, port: ports.outside };
    await until('the rule stands', async () => Object.values(await fromInside([target]))[0] !== 'open', 20_000);
  });
});

describe('attack 36: from inside a function', () => {
  it('no instance of another function is reached, on this node’s network or another’s', async () => {
    const owned = (await cluster.containers()).filter((container) => container.function?.startsWith('echo'));
    expect(new Set(owned.map(({ node }) => node)).size, 'both nodes hold some').toBe(2);
    const targets: { host: string; port: number }[] = [];
    for (const { id } of owned) {
      const host = await addressOf(id);
      if (host !== undefined) targets.push({ host, port: 8080 });
    }
    for (const { host, port } of targets) expect(await canConnect(host, port), 'the host itself reaches it').toBe('open');
    for (const name of runners) expectNoneOpen(await fromInside(targets, name));
  });

  it('no container of another network is reached, neither by its address nor by its published port', async () => {
    const address = await addressOf(neighbour);
    const targets = [{ host: address as string, port: 8080 }, ...hostAddresses().map((host) => ({ host, port: ports.published }))];
    expectNoneOpen(await fromInside(targets));
  });

  it('no multicast and no broadcast arrives at another instance', async () => {
    const [listener, ...others] = runners as [string, ...string[]];
    const listen = valueInside<number>(
      cluster,
      listener,
      `const socket = require('node:dgram').createSocket({ type: 'udp4', reuseAddr: true }); let got = 0;
       await new Promise((r) => socket.bind(5353, '0.0.0.0', r)); try { socket.addMembership('224.0.0.251'); } catch {}
       socket.on('message', () => { got += 1; }); await new Promise((r) => setTimeout(r, 2500)); socket.close(); return got;`,
    );
    const shout = (name: string) =>
      valueInside(
        cluster,
        name,
        `const socket = require('node:dgram').createSocket('udp4'); socket.on('error', () => {}); await new Promise((r) => socket.bind(0, r)); try { socket.setBroadcast(true); } catch {}
         for (let i = 0; i < 20; i += 1) { for (const to of ['224.0.0.251', '255.255.255.255']) socket.send('x', 5353, to, () => {}); await new Promise((r) => setTimeout(r, 100)); }
         socket.close();`,
      );
    await Promise.all(others.map(shout));
    expect(await listen).toBe(0);
  });

  it('there is no raw socket to forge addresses with', async () => {
    await cluster.deploy(fixture('syscalls'), { name: 'syscalls' });
    const answer = await cluster.call('/fn/syscalls/', {
      method: 'POST',
      body: `
import socket
result = [attempt(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)), attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)), attempt(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM))]
`,
    });
    expect(answer.json()).toEqual(['EPERM', 'EPERM', 'EPERM']);
  });
});
