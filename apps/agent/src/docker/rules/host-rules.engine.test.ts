import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildRunnerImage } from '@kiln/testing/images/test-image';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { EVALUATE, TestNode } from '../../node.fixture.js';
import { bridgeName, digest } from '../network.js';

const PROGRAM = 'iptables';
/** Rules are looked after every three seconds. */
const SOON = { timeout: 10_000, interval: 100 };

const ownAddresses = () =>
  Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ family, internal }) => family === 'IPv4' && !internal)
    .map(({ address }) => address);

const tables = (program: string, ...args: string[]) => execFileSync(program, ['-w', '5', ...args], { encoding: 'utf8', stdio: 'pipe' });

const rules = (comment: string, program = PROGRAM) =>
  tables(program, '-S')
    .split('\n')
    .filter((line) => line.includes(`"${comment}"`));

let node: TestNode;
let image: { id: string; remove(): Promise<void> };
let host: net.Server;

beforeAll(async () => {
  host = net.createServer((socket) => socket.end()).listen(0, '0.0.0.0');
  image = await buildRunnerImage(EVALUATE);
  node = await TestNode.start();
});
afterAll(async () => {
  await node?.stop();
  await image?.remove();
  host?.close();
});

async function fromInside(code: string): Promise<unknown> {
  node.add('inside', image.id);
  const answer = await node.call('inside', { body: code });
  return JSON.parse(answer.text);
}

describe('the firewall of a node', () => {
  it('is set once, however often it is applied, and changes in one step', async () => {
    const before = rules(`kiln:${node.node}`);
    expect(before.length).toBeGreaterThan(5);
    await node.parts.engine.firewall.ensure();
    expect(rules(`kiln:${node.node}`)).toHaveLength(before.length);
    await node.parts.engine.firewall.protect(['192.0.2.7', '192.0.2.7', 'no address']);
    expect(rules(`kiln:${node.node}`)).toHaveLength(before.length + 1);
    await node.parts.engine.firewall.protect([]);
    expect(rules(`kiln:${node.node}`)).toHaveLength(before.length);
    expect(node.parts.engine.warnings).toEqual([]);
  });

  it('keeps an instance from every address of this machine', async () => {
    const { port } = host.address() as net.AddressInfo;
    const addresses = [...ownAddresses(), '127.0.0.1'];
    const outcomes = await fromInside(`
      const net = require('node:net');
      const tryOne = (host) => new Promise((resolve) => {
        const socket = net.connect({ host, port: ${port}, timeout: 1500 });
        socket.on('connect', () => resolve('open')).on('timeout', () => resolve('silent')).on('error', (error) => resolve(error.code));
      });
      return Promise.all(${JSON.stringify(addresses)}.map(tryOne));`);
    expect(outcomes).toEqual(addresses.map(() => 'ECONNREFUSED'));
  });

  it('leaves name resolution working', async () => {
    const outcome = await fromInside(`
      const dns = require('node:dns').promises;
      return dns.resolve4('nothing.invalid').then(() => 'found', (error) => error.code);`);
    expect(['ENOTFOUND', 'ENODATA', 'ESERVFAIL']).toContain(outcome);
  });

  it('goes with the node', async () => {
    const other = await TestNode.start();
    expect(rules(`kiln:${other.node}`).length).toBeGreaterThan(5);
    await other.stop();
    expect(rules(`kiln:${other.node}`)).toEqual([]);
    expect(rules(`kiln:${node.node}`).length).toBeGreaterThan(5);
  });
});

describe('rules that another program has changed', () => {
  const without = (chain: string, program = PROGRAM) => {
    for (const rule of rules(`kiln:${node.node}`, program).filter((line) => line.startsWith(`-A ${chain} `)))
      tables(program, '-D', ...rule.replaceAll('"', '').split(' ').slice(1));
  };
  const inserted = (chain: string) => tables(PROGRAM, '-I', chain, '1', '-i', bridgeName(node.node), '-j', 'ACCEPT');
  const removed = (chain: string) => tables(PROGRAM, '-D', chain, '-i', bridgeName(node.node), '-j', 'ACCEPT');

  it.each([
    ['its own chain was flushed', () => tables(PROGRAM, '-F', `KILN-${digest(node.node)}`)],
    ['DOCKER-USER was flushed', () => without('DOCKER-USER')],
    ['INPUT was flushed', () => without('INPUT')],
    ['INPUT was flushed of IPv6', () => without('INPUT', 'ip6tables')],
    ['FORWARD was flushed of IPv6', () => without('FORWARD', 'ip6tables')],
  ])('stand again within seconds after %s', async (_what, change) => {
    // A jump from FORWARD comes and goes with what the engine does at the moment.
    const ipv4 = () => rules(`kiln:${node.node}`).filter((rule) => !rule.startsWith('-A FORWARD'));
    const all = () => [...ipv4(), ...rules(`kiln:${node.node}`, 'ip6tables')];
    const before = all();
    change();
    expect(all()).not.toEqual(before);
    await vi.waitFor(() => expect(all()).toEqual(before), SOON);
    const said = 'firewall rules repaired: another program had changed them';
    await vi.waitFor(() => expect(node.troubles).toContain(said), SOON);
    node.troubles.length = 0;
  });

  it.each([
    ['INPUT', 'INPUT'],
    ['DOCKER-USER', 'DOCKER-USER'],
    ['FORWARD', 'FORWARD'],
  ])('come first again when another lets everything pass above them in %s', async (_name, chain) => {
    // The engine puts its own jump first whenever a network is made, here by tests beside this one: behind it stand the node's rules.
    const engines = '-A FORWARD -j DOCKER-USER';
    const first = () =>
      tables(PROGRAM, '-S', chain)
        .split('\n')
        .filter((rule) => rule === engines || rule.includes(bridgeName(node.node)))[0];
    inserted(chain);
    try {
      await vi.waitFor(() => expect([engines, expect.stringContaining(`kiln:${node.node}`)]).toContainEqual(first()), SOON);
    } finally {
      removed(chain);
    }
  });
});

describe('a node that cannot set its rules', () => {
  it('starts no instance and says so, until they stand again; what runs goes on', async () => {
    const path = process.env['PATH'];
    const broken = mkdtempSync(join(tmpdir(), 'kiln-'));
    for (const program of ['iptables', 'iptables-restore']) {
      writeFileSync(join(broken, program), '#!/bin/sh\necho "no rules today" >&2\nexit 3\n');
      chmodSync(join(broken, program), 0o755);
    }
    node.add('running', image.id);
    node.add('new', image.id);
    expect((await node.call('running', { body: 'return 1' })).status).toBe(200);
    try {
      process.env['PATH'] = `${broken}:${path}`;
      tables('/usr/sbin/iptables', '-F', `KILN-${digest(node.node)}`);
      await vi.waitFor(() => expect(node.parts.engine.warnings).toEqual([expect.stringContaining('no rules today')]), SOON);
      const refused = await node.call('new', { body: 'return 1' });
      expect(refused.status).toBe(503);
      expect(refused.headers).toMatchObject({ 'x-kiln-error': 'no_capacity', 'x-kiln-not-executed': expect.anything() });
      expect(refused.text).toContain('firewall rules');
      expect((await node.call('running', { body: 'return 1' })).status).toBe(200);
    } finally {
      process.env['PATH'] = path;
      rmSync(broken, { recursive: true });
    }
    await vi.waitFor(() => expect(node.parts.engine.warnings).toEqual([]), SOON);
    expect(rules(`kiln:${node.node}`).filter((rule) => rule.startsWith('-A KILN-')).length).toBeGreaterThan(3);
    expect((await node.call('new', { body: 'return 1' })).status).toBe(200);
    const said = node.troubles.filter((line) => line.includes('no rules today') || line.includes('complete again'));
    expect(said).toEqual([expect.stringContaining('no rules today'), 'firewall rules are complete again']);
  });
});

describe('the socket folder', () => {
  it('is read-only inside: the socket can be neither removed nor replaced', async () => {
    const outcomes = await fromInside(`
      const fs = require('node:fs');
      const attempt = (action) => { try { action(); return 'done'; } catch (error) { return error.code; } };
      return [
        attempt(() => fs.unlinkSync('/run/kiln/agent.sock')),
        attempt(() => fs.symlinkSync('/var/run/docker.sock', '/run/kiln/other.sock')),
        attempt(() => fs.renameSync('/run/kiln/agent.sock', '/run/kiln/x')),
      ];`);
    expect(outcomes).toEqual(['EROFS', 'EROFS', 'EROFS']);
  });
});
