// Makes the cluster's secrets, once, and the files that hold them as each service reads them, every time: addresses and ports
// may have changed. Only services that mount the folder see it, and as different users; so the files are readable, and the
// folder is what is closed.
//
//   node make-secrets.mjs FOLDER CONTROL_URL REDIS_PORT
import { randomBytes, randomInt } from 'node:crypto';
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

const [folder, url, redisPort] = process.argv.slice(2);

const clusterSecret = secret('cluster-secret', () => randomBytes(32).toString('hex'));
const redisPassword = secret('redis-password', () => randomBytes(32).toString('hex'));
const apiKey = secret('admin-key', () => `kiln_${base62(12)}_${base62(40)}`);

const redisUrl = (address) => `redis://:${redisPassword}@${address}`;
write('redis.conf', [`requirepass ${redisPassword}`, 'dir /data', 'appendonly yes', 'maxmemory-policy noeviction']);
write('agent.env', [`KILN_CLUSTER_SECRET=${clusterSecret}`, `KILN_REDIS_URL=${redisUrl(`127.0.0.1:${redisPort}`)}`]);
write('router.env', [`KILN_CLUSTER_SECRET=${clusterSecret}`, `KILN_REDIS_URL=${redisUrl('redis:6379')}`, `KILN_ADMIN_KEY=${apiKey}`]);
write('credentials.json', [JSON.stringify({ url, apiKey }, undefined, 2)]);

function secret(name, make) {
  const file = join(folder, name);
  if (!existsSync(file)) write(name, [make()]);
  return readFileSync(file, 'utf8').trim();
}

/** Whole or not at all: a run that is cut off leaves no half a secret behind. */
function write(name, lines) {
  const temporary = join(folder, `.${name}`);
  rmSync(temporary, { force: true });
  writeFileSync(temporary, `${lines.join('\n')}\n`, { mode: 0o444 });
  renameSync(temporary, join(folder, name));
}

function base62(length) {
  return Array.from({ length }, () => BASE62[randomInt(BASE62.length)]).join('');
}
