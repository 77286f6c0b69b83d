// Makes the cluster's secrets once: the files that are there already stay as they are. Only services that mount the folder
// read them, and as different users; so the files are readable, and the folder is what is closed.
import { randomBytes, randomInt } from 'node:crypto';
import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const base62 = (length) => Array.from({ length }, () => BASE62[randomInt(BASE62.length)]).join('');

const folder = process.argv[2];
const { KILN_CONTROL_URL: url, KILN_REDIS_PORT: redisPort } = process.env;
const last = join(folder, 'credentials.json');
if (existsSync(last)) process.exit(0);

const clusterSecret = randomBytes(32).toString('hex');
const redisPassword = randomBytes(32).toString('hex');
const apiKey = `kiln_${base62(12)}_${base62(40)}`;

write('redis-password', redisPassword);
write('redis.conf', `requirepass ${redisPassword}\ndir /data\nappendonly yes\nmaxmemory-policy noeviction\nprotected-mode no\n`);
write('agent.env', `KILN_CLUSTER_SECRET=${clusterSecret}\nKILN_REDIS_URL=redis://:${redisPassword}@127.0.0.1:${redisPort}\n`);
write(
  'router.env',
  `KILN_CLUSTER_SECRET=${clusterSecret}\nKILN_REDIS_URL=redis://:${redisPassword}@redis:6379\nKILN_ADMIN_KEY=${apiKey}\n`,
);
// Written last: its being there means that the others are.
write('credentials.json', `${JSON.stringify({ url, apiKey }, undefined, 2)}\n`);

function write(name, content) {
  const temporary = join(folder, `.${name}`);
  writeFileSync(temporary, content, { mode: 0o444 });
  renameSync(temporary, join(folder, name));
}
