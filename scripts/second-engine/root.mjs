// The root file system of another Debian with its own Docker engine, made once and kept.
import { existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { debootstrap, ROOTS } from '../system/debootstrap.mjs';

const PACKAGES = ['docker.io', 'docker-cli', 'iptables', 'ca-certificates', 'procps'];
/** Raised when a root that is there already does not serve any more. */
const EDITION = 1;

/** @returns the folder of the root; an interrupted run leaves none that looks whole */
export function ensureRoot(suite, announce) {
  const root = join(ROOTS, `${suite}-${EDITION}`);
  if (existsSync(root)) return root;
  announce(`making a root of Debian ${suite} with a Docker engine in ${root}`);
  const unfinished = join(ROOTS, `unfinished-${suite}-${process.pid}`);
  try {
    debootstrap(suite, unfinished, PACKAGES, announce);
    rmSync(join(unfinished, 'var/cache/apt/archives'), { recursive: true, force: true });
    renameSync(unfinished, root);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
  return root;
}
