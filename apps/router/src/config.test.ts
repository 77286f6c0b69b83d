import { homedir } from 'node:os';
import { join } from 'node:path';
import { EnvironmentError } from '@kiln/contract/config/environment';
import { expect, it } from 'vitest';
import { readConfig } from './config.js';

const needed = { KILN_REDIS_URL: 'redis://127.0.0.1:6379', KILN_CLUSTER_SECRET: 'x'.repeat(16) };

it('has a default for everything but the store and the cluster secret', () => {
  expect(readConfig(needed).home).toBe(join(homedir(), '.kiln'));
  // A home without files: what `kiln up` may have left in this user's is no default.
  expect(readConfig({ ...needed, KILN_HOME: '/nowhere/kiln' })).toEqual({
    home: '/nowhere/kiln',
    path: '/usr/local/bin:/usr/bin:/bin',
    bind: '127.0.0.1',
    httpPort: 8080,
    controlPort: 8081,
    domain: 'localhost',
    publicUrl: 'http://localhost:8080',
    redisUrl: needed.KILN_REDIS_URL,
    clusterSecret: needed.KILN_CLUSTER_SECRET,
    adminKey: undefined,
    trustedProxies: [],
    callsByPath: true,
    placementHeaders: true,
    drainTimeout: 30_000,
    drainDelay: 0,
    logLevel: 'info',
  });
  expect(() => readConfig({})).toThrowError(EnvironmentError);
});

it('takes what is set', () => {
  const config = readConfig({
    ...needed,
    KILN_TRUSTED_PROXIES: '10.0.0.0/8, ::1',
    KILN_PLACEMENT_HEADERS: 'off',
    KILN_PUBLIC_URL: 'https://x.test/',
  });
  expect(config).toMatchObject({ trustedProxies: ['10.0.0.0/8', '::1'], placementHeaders: false, publicUrl: 'https://x.test' });
});

it.each([
  ['KILN_HTTP_PORT', '0'],
  ['KILN_CONTROL_PORT', '8081x'],
  ['KILN_BIND', 'example.com'],
  ['KILN_DOMAIN', 'Example.com:80'],
  ['KILN_PUBLIC_URL', 'ftp://x'],
  ['KILN_REDIS_URL', 'http://x'],
  ['KILN_CLUSTER_SECRET', 'short'],
  ['KILN_ADMIN_KEY', 'secret'],
  ['KILN_TRUSTED_PROXIES', '10.0.0.0/33'],
  ['KILN_TRUSTED_PROXIES', 'proxy'],
  ['KILN_PLACEMENT_HEADERS', 'yes'],
  ['KILN_DRAIN_TIMEOUT', '-1'],
  ['KILN_DRAIN_DELAY', '-1'],
  ['KILN_DRAIN_DELAY', '700000'],
  ['KILN_LOG_LEVEL', 'loud'],
])('refuses %s=%s, naming the variable', (name, value) => {
  expect(() => readConfig({ ...needed, [name]: value })).toThrowError(name);
});
