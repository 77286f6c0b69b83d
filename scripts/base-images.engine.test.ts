import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const SCRIPT = join(import.meta.dirname, 'base-images.mjs');

/** On a machine with an engine and without its client, as Debian 13 has it: no program is found by name. */
function makeImages(names: string[], env: Record<string, string> = {}) {
  const { DOCKER_HOST } = process.env;
  const inherited = DOCKER_HOST === undefined ? {} : { DOCKER_HOST };
  return spawnSync(process.execPath, [SCRIPT, ...names], { encoding: 'utf8', env: { PATH: '/nowhere', ...inherited, ...env } });
}

describe('making base images', () => {
  it('needs no client of the engine beside the engine', () => {
    expect(makeImages(['node:24-trixie-slim'])).toMatchObject({ status: 0, stderr: '' });
  });

  it('tells why an image cannot be pulled, and not that no registry answers', () => {
    const { status, stderr } = makeImages(['localhost:1/nothing:here']);
    expect(status).toBe(1);
    expect(stderr).toMatch(/localhost:1\/nothing:here: the engine can't pull it \(.*connection refused\)/);
    expect(stderr).toMatch(/no recipe for the image/);
  });

  it('says where it looked for an engine that is not there', () => {
    const { status, stderr } = makeImages(['node:24-trixie-slim'], { DOCKER_HOST: 'unix:///nowhere/docker.sock' });
    expect(status).toBe(1);
    expect(stderr).toContain('unix:///nowhere/docker.sock');
  });
});
