import { randomBytes } from 'node:crypto';
import { connectEngine } from '@kiln/engine/connect-engine';
import { afterEach, describe, expect, it } from 'vitest';
import { bridgeName, makeNetwork, networkName, removeNetwork } from './network.js';

const docker = connectEngine('unix:///var/run/docker.sock');
const node = `t-${randomBytes(4).toString('hex')}`;

afterEach(() => removeNetwork(docker, node));

const inspect = () => docker.getNetwork(networkName(node)).inspect();

describe('the network of a node', () => {
  it('is a bridge of its own, without IPv6 and without a way from one instance to another', async () => {
    const made = await makeNetwork(docker, node);
    const info = await inspect();
    expect([info.Driver, info.EnableIPv6, info.Labels]).toEqual(['bridge', false, { 'kiln.node': node }]);
    expect(info.Options).toMatchObject({
      'com.docker.network.bridge.name': bridgeName(node),
      'com.docker.network.bridge.enable_icc': 'false',
    });
    expect(made.take()).not.toBe(made.take());
  });

  it('is made anew where one is left over, and is gone when it is removed', async () => {
    await makeNetwork(docker, node);
    const before = (await inspect()).Id;
    await makeNetwork(docker, node);
    expect((await inspect()).Id).not.toBe(before);
    expect(await removeNetwork(docker, node)).toBe(true);
    await expect(inspect()).rejects.toMatchObject({ statusCode: 404 });
  });

  it('is used again where the engine does not let go of it', async () => {
    await makeNetwork(docker, node);
    const before = (await inspect()).Id;
    const endpoint = await docker.createContainer({
      Image: 'node:24-trixie-slim',
      Cmd: ['sleep', '60'],
      HostConfig: { NetworkMode: networkName(node) },
    });
    try {
      await endpoint.start();
      const again = await makeNetwork(docker, node);
      expect((await inspect()).Id).toBe(before);
      expect(again.take()).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
    } finally {
      await endpoint.remove({ force: true });
    }
  });
});
