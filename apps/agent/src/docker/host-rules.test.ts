import { execFileSync } from 'node:child_process';
import net from 'node:net';
import { networkInterfaces } from 'node:os';
import { buildRunnerImage } from '@kiln/testing/test-image';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EVALUATE, TestNode } from '../node.fixture.js';

const PROGRAM = 'iptables';

const ownAddresses = () =>
  Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ family, internal }) => family === 'IPv4' && !internal)
    .map(({ address }) => address);

const rules = (comment: string) =>
  execFileSync(PROGRAM, ['-w', '5', '-S'], { encoding: 'utf8', stdio: 'pipe' })
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
    await node.parts.engine.rules.apply();
    expect(rules(`kiln:${node.node}`)).toHaveLength(before.length);
    await node.parts.engine.rules.protect(['192.0.2.7', '192.0.2.7', 'no address']);
    expect(rules(`kiln:${node.node}`)).toHaveLength(before.length + 1);
    await node.parts.engine.rules.protect([]);
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
