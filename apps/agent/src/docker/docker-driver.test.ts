import { randomBytes } from 'node:crypto';
import { connectEngine } from '@kiln/builder/connect-engine';
import { resolveConfig } from '@kiln/contract/function-config';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DockerDriver } from './docker-driver.js';
import { readEngine, removeContainers, strayContainers } from './engine.js';
import { makeNetwork, type NodeNetwork, removeNetwork } from './network.js';

const docker = connectEngine('unix:///var/run/docker.sock');
const node = `t-${randomBytes(4).toString('hex')}`;
const IMAGE = 'node:24-trixie-slim';
let network: NodeNetwork;

beforeAll(async () => {
  network = await makeNetwork(docker, node);
});

afterAll(async () => {
  await removeContainers(docker, await strayContainers(docker, node, () => false));
  await removeNetwork(docker, node);
});

describe('the driver', () => {
  it('takes another address where the engine has given away the one it chose', async () => {
    const trouble: string[] = [];
    const driver = new DockerDriver({
      docker,
      node,
      info: await readEngine(docker),
      network,
      forget: () => undefined,
      facts: async () => ({ id: IMAGE, entrypoint: [], command: ['sleep', '60'], workingDirectory: '/', volumes: [] }),
      admit: () => undefined,
      patience: { boundMs: 15_000, answers: async () => true },
      exitNewsMs: 10_000,
      onTrouble: (message) => trouble.push(message),
    });
    const stranger = await docker.createContainer({
      Image: IMAGE,
      Cmd: ['sleep', '60'],
      Labels: { 'kiln.node': node },
      HostConfig: { NetworkMode: network.name },
    });
    await stranger.start();
    const version = { function: 'f', version: 1, image: IMAGE, kind: 'http' as const, config: resolveConfig({}, 'http') };

    const container = await driver.start({ instance: randomBytes(6).toString('hex'), version, secrets: {}, onOutput: () => undefined });

    const { NetworkSettings } = await docker.getContainer(container.id).inspect();
    expect(container.address).toBe(NetworkSettings.Networks[network.name]?.IPAddress);
    expect(trouble).toEqual([expect.stringContaining('an address of this node is in use')]);
    await container.remove(0);
  });

  it('fetches an image once more that somebody removed', async () => {
    const forgotten: string[] = [];
    const driver = new DockerDriver({
      docker,
      node,
      info: await readEngine(docker),
      network,
      facts: async () => ({
        id: forgotten.length === 0 ? `sha256:${'0'.repeat(64)}` : IMAGE,
        entrypoint: [],
        command: ['sleep', '60'],
        workingDirectory: '/',
        volumes: [],
      }),
      forget: (image) => forgotten.push(image),
      admit: () => undefined,
      patience: { boundMs: 15_000, answers: async () => true },
      exitNewsMs: 10_000,
      onTrouble: () => undefined,
    });
    const version = { function: 'f', version: 1, image: 'registry/f@sha256:1', kind: 'http' as const, config: resolveConfig({}, 'http') };
    const container = await driver.start({ instance: randomBytes(6).toString('hex'), version, secrets: {}, onOutput: () => undefined });
    expect(forgotten).toEqual([version.image]);
    await container.remove(0);
  });
});
