import { createHash, randomBytes, randomInt } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { Failure } from '../../failure.js';
import type { HomePaths } from '../../home.js';
import { writePrivate } from './private-file.js';

const long = z.string().min(16);
const cluster = z.object({ secret: long, adminKey: long, redisPassword: long });
export type ClusterFile = z.infer<typeof cluster>;

/** Reads the cluster's secrets, or creates them once. They stay, so that earlier keys and agents keep working. */
export function loadCluster(file: string): ClusterFile {
  if (!existsSync(file)) {
    const made = { secret: randomBytes(32).toString('hex'), adminKey: newApiKey(), redisPassword: randomBytes(24).toString('hex') };
    writePrivate(file, `${JSON.stringify(made)}\n`);
    return made;
  }
  try {
    return cluster.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    const fix = `put back a copy, or remove it, and kiln up creates new ones: rm ${file}`;
    throw new Failure(`${file} can't be read as the secrets of this cluster`, fix);
  }
}

/** Creates the master key once, in a file of its own: a copy of Redis must not hold it, and a change of keys moves the file. */
export function makeMasterKey({ masterKey, masterKeyPrevious, cluster: clusterFile }: HomePaths): void {
  if (existsSync(masterKey)) return;
  // This home has lost its key, unless a change of keys is under way. A new key would hide the loss.
  if (existsSync(clusterFile) && !existsSync(masterKeyPrevious))
    throw new Failure(
      `${masterKey} is gone: it holds the master key that this cluster's secrets are sealed with`,
      `put back a copy of it, or give it as KILN_MASTER_KEY. If no copy is left, or no secret was ever stored, create a new key: (umask 077; openssl rand -base64 32 > ${masterKey}); see "A lost master key" in SECURITY.md`,
    );
  writePrivate(masterKey, `${randomBytes(32).toString('base64')}\n`);
}

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

function newApiKey(): string {
  const random = (length: number) => Array.from({ length }, () => BASE62[randomInt(62)]).join('');
  return `kiln_${random(12)}_${random(40)}`;
}

/** The most nodes on one machine. */
export const MAX_NODES = 32;

/** The ids of a home's nodes. Agents know their containers by them: a hash of the home keeps apart two homes that share an engine. */
export function nodeIds(home: string, count: number = MAX_NODES): string[] {
  const mark = createHash('sha256').update(home).digest('hex').slice(0, 5);
  return Array.from({ length: count }, (_, i) => `node-${i + 1}-${mark}`);
}
