import { randomBytes } from 'node:crypto';
import { resolveConfig } from '@kiln/contract/config/function-config';
import { connectEngine } from '@kiln/engine/connect-engine';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AddressPool } from './address-pool.js';
import { DockerDriver } from './docker-driver.js';
import { readEngine, removeContainers, strayContainers } from './engine.js';
import { makeNetwork, networkName, removeNetwork } from './network.js';

const docker = connectEngine('unix:///var/run/docker.sock');
const node = `t-${randomBytes(4).toString('hex')}`;
const IMAGE = 'node:24-trixie-slim';
let addresses: AddressPool;

beforeAll(async () => {
  addresses = await makeNetwork(docker, node);
});

afterAll(async () => {
  await removeContainers(docker, await strayContainers(docker, node, () => false));
  await removeNetwork(docker, node);
});

interface Given {
  command?: string[];
  image?: string;
  imageId?: () => string;
  forget?: (image: string) => void;
  onOutput?: (bytes: number) => void;
}

/** Starts one container. @returns it, and what the driver said of trouble */
async function started({ command = ['sleep', '60'], image = IMAGE, imageId = () => IMAGE, forget, onOutput }: Given = {}) {
  const trouble: string[] = [];
  const driver = new DockerDriver({
    docker,
    node,
    info: await readEngine(docker),
    addresses,
    forget: forget ?? (() => undefined),
    facts: async () => ({ id: imageId(), entrypoint: [], command, workingDirectory: '/', volumes: [] }),
    admit: () => undefined,
    patience: { boundMs: 15_000, answers: async () => true },
    exitNewsMs: 10_000,
    onTrouble: (message) => trouble.push(message),
  });
  const container = await driver.start({
    instance: randomBytes(6).toString('hex'),
    version: { function: 'f', version: 1, image, kind: 'http', config: resolveConfig({}, 'http') },
    secrets: {},
    onOutput: (_source, chunk) => onOutput?.(chunk.length),
  });
  return { container, trouble };
}

describe('the driver', () => {
  it('takes another address where the engine has given away the one it chose', async () => {
    const stranger = await docker.createContainer({
      Image: IMAGE,
      Cmd: ['sleep', '60'],
      Labels: { 'kiln.node': node },
      HostConfig: { NetworkMode: networkName(node) },
    });
    await stranger.start();
    const { container, trouble } = await started();
    const { NetworkSettings } = await docker.getContainer(container.id).inspect();
    expect(container.address).toBe(NetworkSettings.Networks[networkName(node)]?.IPAddress);
    expect(trouble).toEqual(['container address is in use, trying the next one']);
    await container.remove(0);
  });

  it('fetches an image once more that somebody removed', async () => {
    const forgotten: string[] = [];
    const imageId = () => (forgotten.length === 0 ? `sha256:${'0'.repeat(64)}` : IMAGE);
    const { container } = await started({ image: 'registry/f@sha256:1', imageId, forget: (image) => forgotten.push(image) });
    expect(forgotten).toEqual(['registry/f@sha256:1']);
    await container.remove(0);
  });

  it('reads a flood of output at no more than 4 MiB a second, once 32 MiB have come', async () => {
    const MIB = 1024 * 1024;
    let bytes = 0;
    const onOutput = (more: number) => {
      bytes += more;
    };
    const began = performance.now();
    const { container } = await started({ command: ['yes', 'a line of a flood'], onOutput });
    await expect.poll(() => bytes).toBeGreaterThan(40 * MIB);
    const seconds = (performance.now() - began) / 1000;
    // One read more than there is leave for.
    expect(bytes).toBeLessThan((32 + 4 * seconds + 1) * MIB);
    await container.remove(0);
  });
});
