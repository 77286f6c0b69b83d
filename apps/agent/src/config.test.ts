import { EnvironmentError } from '@kiln/contract/config/environment';
import { socketRoot } from '@kiln/instances/instance/socket-root';
import { describe, expect, it } from 'vitest';
import { readConfig } from './config.js';

const SECRET = { KILN_CLUSTER_SECRET: 'x'.repeat(16) };

describe('the environment', () => {
  it('has a default for all but the secret', () => {
    const config = readConfig(SECRET);
    expect(config).toMatchObject({ dataPort: 9200, controlPort: 9201, bind: '127.0.0.1', weight: 1, drainTimeout: 30_000 });
    expect(config.memory).toBeGreaterThan(100);
    expect(() => readConfig({})).toThrowError(EnvironmentError);
  });

  it('puts the control port beside the data port unless it is told otherwise', () => {
    expect(readConfig({ ...SECRET, KILN_AGENT_PORT: '9300' }).controlPort).toBe(9301);
    expect(readConfig({ ...SECRET, KILN_AGENT_PORT: '9300', KILN_AGENT_CONTROL_PORT: '9400' }).controlPort).toBe(9400);
  });

  it.each(['registry.example.com/team/kiln', '127.0.0.1:5000', 'registry:5000/kiln/'])('takes %s for a registry', (registry) => {
    expect(readConfig({ ...SECRET, KILN_REGISTRY: registry }).registry).toBe(registry);
  });

  it('looks for registry logins in its home, and insists on a file that was named', () => {
    expect(readConfig({ ...SECRET, KILN_HOME: '/k' }).registryAuth).toEqual({ path: '/k/registries.json', optional: true });
    expect(readConfig({ ...SECRET, KILN_REGISTRY_AUTH: '/a.json' }).registryAuth).toEqual({ path: '/a.json', optional: false });
  });

  it.each([
    ['KILN_NODE_ID', 'Node 1'],
    ['KILN_AGENT_PORT', '0'],
    ['KILN_NODE_MEMORY', 'much'],
    ['KILN_NODE_WEIGHT', '-1'],
    ['KILN_DRAIN_TIMEOUT', '-1'],
    ['KILN_FIREWALL', 'off'],
    ['KILN_ENGINE_TIMEOUT', '10'],
    ['KILN_EXIT_TIMEOUT', 'soon'],
    ['KILN_BUILD_TIMEOUT', '10'],
    ['KILN_BUILD_CPUS', '0'],
    ['DOCKER_HOST', 'ssh://somewhere'],
    ['KILN_REGISTRY', 'https://registry.example.com'],
    ['KILN_REGISTRY_DELETE', 'yes'],
    ['KILN_IMAGES_HIGH', '100'],
    ['KILN_IMAGES_LOW', '85'],
    ['KILN_IMAGES_GRACE', '1h'],
    ['KILN_ENGINE_ROOT', 'docker'],
    ['KILN_REGISTRY', 'registry.example.com/Kiln'],
    ['KILN_REDIS_URL', 'http://redis'],
  ])('names %s when it is %j', (name, value) => {
    expect(() => readConfig({ ...SECRET, [name]: value })).toThrowError(new RegExp(`^${name} is `));
  });
});

describe('the sockets of a node', () => {
  it('are under its home unless their paths would be too long', () => {
    expect(socketRoot('/home/me/.kiln', 'node-1')).toBe('/home/me/.kiln/run/node-1');
    expect(socketRoot(`/${'x'.repeat(80)}`, 'node-1')).toBe('/run/kiln/node-1');
  });
});
