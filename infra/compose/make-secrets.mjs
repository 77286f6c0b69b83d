// Creates the cluster's secrets once, and writes the files from which each service reads them every time, since addresses and ports
// may have changed. Services with different users mount the folder, so every user may read the files; no other service can see the
// folder. The master key has a folder of its own, because Redis stores what the key seals and must not see the key.
//
//   node make-secrets.mjs FOLDER MASTER_KEY_FOLDER CONTROL_URL REDIS_PORT
import { randomBytes, randomInt } from 'node:crypto';
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

const [folder, masterKeyFolder, url, redisPort] = process.argv.slice(2);

const clusterSecret = secret(folder, 'cluster-secret', () => randomBytes(32).toString('hex'));
const redisPassword = secret(folder, 'redis-password', () => randomBytes(32).toString('hex'));
const apiKey = secret(folder, 'admin-key', () => `kiln_${base62(12)}_${base62(40)}`);
const masterKey = secret(masterKeyFolder, 'key', () => randomBytes(32).toString('base64'));
// The key before, during a change of keys.
const previousMasterKey = secret(masterKeyFolder, 'key.previous', () => '');

const redisUrl = (address) => `redis://:${redisPassword}@${address}`;
write(folder, 'redis.conf', [`requirepass ${redisPassword}`, 'dir /data', 'appendonly yes', 'maxmemory-policy noeviction']);
write(folder, 'agent.env', [`KILN_CLUSTER_SECRET=${clusterSecret}`, `KILN_REDIS_URL=${redisUrl(`127.0.0.1:${redisPort}`)}`]);
write(folder, 'router.env', [
  `KILN_CLUSTER_SECRET=${clusterSecret}`,
  `KILN_REDIS_URL=${redisUrl('redis:6379')}`,
  `KILN_ADMIN_KEY=${apiKey}`,
]);
write(folder, 'credentials.json', [JSON.stringify({ url, apiKey }, undefined, 2)]);
write(masterKeyFolder, 'master-key.env', [`KILN_MASTER_KEY=${masterKey}`, `KILN_MASTER_KEY_PREVIOUS=${previousMasterKey}`]);

function secret(parent, name, make) {
  const file = join(parent, name);
  if (!existsSync(file)) write(parent, name, [make()]);
  return readFileSync(file, 'utf8').trim();
}

/** Writes a file whole or not at all: an interrupted run leaves no partial secret. */
function write(parent, name, lines) {
  const temporary = join(parent, `.${name}`);
  rmSync(temporary, { force: true });
  writeFileSync(temporary, `${lines.join('\n')}\n`, { mode: 0o444 });
  renameSync(temporary, join(parent, name));
}

function base62(length) {
  return Array.from({ length }, () => BASE62[randomInt(BASE62.length)]).join('');
}
