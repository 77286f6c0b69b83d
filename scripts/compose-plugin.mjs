#!/usr/bin/env node
// `docker compose` for an engine that came without it (Debian 12's docker.io does). The plugin is one program that needs
// only libc: it is taken from Debian trixie's package, whose signature apt checks, inside a container.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ensureBaseImages } from './base-images.mjs';

const DEBIAN = 'debian:trixie-slim';
const FETCH_TIMEOUT_MS = 300_000;
const MAX_PLUGIN_BYTES = 256 * 1024 * 1024;

const UNPACK = `set -eu
cd /tmp
{ apt-get update -qq; apt-get download -qq docker-compose; } >&2
dpkg-deb --fsys-tarfile docker-compose_*.deb | tar -xO ./usr/libexec/docker/cli-plugins/docker-compose`;

/** Makes `docker compose` work. @throws Error that says what to install where it can't be done here. */
export async function ensureCompose(announce) {
  if (composeAnswers()) return;
  if (process.platform !== 'linux') throw new Error(`docker compose is missing: ${HOW}`);
  const folder = join(process.env.DOCKER_CONFIG ?? join(homedir(), '.docker'), 'cli-plugins');
  announce(`installing docker compose into ${folder}`);
  await ensureBaseImages([DEBIAN], announce);
  const { status, stdout } = spawnSync('docker', ['run', '--rm', DEBIAN, 'sh', '-c', UNPACK], {
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: MAX_PLUGIN_BYTES,
    timeout: FETCH_TIMEOUT_MS,
  });
  if (status !== 0) throw new Error(`docker compose could not be taken from Debian's package: ${HOW}`);
  installPlugin(folder, stdout);
  if (!composeAnswers()) throw new Error(`docker compose does not run from ${folder}: ${HOW}`);
}

const HOW = 'install it from https://docs.docker.com/compose/install/, then run this again';

/** In one step, so that an interrupted run leaves no half program behind. */
function installPlugin(folder, program) {
  mkdirSync(folder, { recursive: true });
  const temporary = join(folder, `.docker-compose-${process.pid}`);
  writeFileSync(temporary, program);
  chmodSync(temporary, 0o755);
  renameSync(temporary, join(folder, 'docker-compose'));
}

function composeAnswers() {
  return spawnSync('docker', ['compose', 'version'], { stdio: 'ignore' }).status === 0;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  await ensureCompose((line) => process.stderr.write(`kiln: ${line}\n`));
}
