import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;

let folder: string;
let bin: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kiln-packages-'));
  bin = join(folder, 'bin');
  mkdirSync(bin);
  for (const path of [folder, bin]) chmodSync(path, 0o755);
  writeFileSync(join(folder, 'ran'), '');
  chmodSync(join(folder, 'ran'), 0o666);
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A program on `PATH` that writes down how it was called. */
function program(name: string, script = ''): void {
  writeFileSync(join(bin, name), `#!/bin/sh\necho "${name} $*" >> '${folder}/ran'\n${script}\n`);
  chmodSync(join(bin, name), 0o755);
}

/** The sudo of a user who may do everything, or of whom `script` tells. */
const sudo = (script = '') => program('sudo', `[ "$1" = --version ] && exit\n${script}\nexit 0`);

/** What ran, but for the look whether there is a sudo. */
const ran = () =>
  readFileSync(join(folder, 'ran'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && line !== 'sudo --version');

/** Runs a step of set-up in a process of its own, as a user who is not root unless it is told to; only the programs above are on `PATH`. */
function run(step: string, { asRoot = false, input = '', env = {} } = {}) {
  const modules = Object.entries({ setup: '../setup', packages: 'packages', engine: '../engine/engine' }).map(
    ([name, path]) => `import * as ${name} from '${join(import.meta.dirname, path)}.mjs';`,
  );
  const become = isRoot && !asRoot ? `process.setgroups([]); process.setgid(${NOBODY}); process.setuid(${NOBODY});` : '';
  const script = `${modules.join('\n')}\n${become}\nawait setup.main(async () => { ${step} });`;
  return spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8', input, env: { PATH: bin, ...env } });
}

// Set-up installs on Debian and Ubuntu only.
describe.runIf(existsSync('/usr/bin/apt-get'))('the Redis that set-up installs', () => {
  const ensure = () => run(`setup.ensureRedis('${folder}/redis-server');`);

  it('leaves no service of the package beside Kiln’s own', () => {
    sudo();
    expect(ensure()).toMatchObject({ status: 0, stderr: expect.stringContaining('stopping and disabling redis-server') });
    const [update, install, ...stop] = ran();
    expect([update, install]).toEqual([
      'sudo env DEBIAN_FRONTEND=noninteractive apt-get update -qq',
      'sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends redis-server',
    ]);
    expect(stop.join('\n')).toMatch(/^sudo (systemctl disable --now --quiet redis-server|invoke-rc.d --quiet redis-server stop\n)/);
  });

  it('is not one that was there before: somebody’s service runs on', () => {
    sudo();
    program('redis-server');
    expect(ensure().status).toBe(0);
    rmSync(join(bin, 'redis-server'));
    writeFileSync(join(folder, 'redis-server'), '');
    expect(ensure().status).toBe(0);
    expect(ran()).toEqual([]);
  });
});

describe('a service that a package has started', () => {
  const stop = (systemd: string) => run(`packages.stopService('redis-server', setup.announce, '${systemd}');`);

  it('is stopped and disabled by systemd where that runs, and set-up says so when it is not', () => {
    sudo();
    expect(stop(folder).status).toBe(0);
    expect(ran()).toEqual(['sudo systemctl disable --now --quiet redis-server']);
    sudo('exit 4');
    expect(stop(folder)).toMatchObject({ status: 1, stderr: expect.stringContaining('redis-server ended with code 4') });
  });

  it('is stopped and disabled by its script elsewhere, where either may be refused', () => {
    sudo('exit 100');
    expect(stop(join(folder, 'none')).status).toBe(0);
    expect(ran()).toEqual(['sudo invoke-rc.d --quiet redis-server stop', 'sudo update-rc.d redis-server disable']);
  });
});

describe('a command for root', () => {
  const install = "packages.asRoot(['apt-get', 'install', 'git']);";

  it.runIf(isRoot)('is run by root without sudo', () => {
    sudo();
    program('apt-get');
    expect(run(install, { asRoot: true }).status).toBe(0);
    expect(ran()).toEqual(['apt-get install git']);
  });

  it('is given to a user without sudo to run, and nothing is run', () => {
    program('apt-get');
    const { status, stderr } = run(install);
    expect([status, stderr]).toEqual([1, 'kiln: this needs root and there is no sudo; as root run: apt-get install git\n']);
    expect(ran()).toEqual([]);
  });

  it('lets sudo ask for a password, and read it', () => {
    sudo(`echo 'password:' >&2; read -r word; echo "read $word" >> '${folder}/ran'`);
    expect(run(install, { input: 'secret\n' })).toMatchObject({ status: 0, stderr: 'password:\n' });
    expect(ran()).toEqual(['sudo apt-get install git', 'read secret']);
  });

  it('that sudo refuses ends set-up with sudo’s own words, and the last that the command printed', () => {
    sudo('for i in 1 2 3 4 5 6; do echo "line $i"; done; echo "sudo: a password is required" >&2; exit 1');
    const { status, stderr } = run(install);
    expect(status).toBe(1);
    expect(stderr).toBe(
      'sudo: a password is required\nkiln: apt-get install git ended with code 1:\nline 2\nline 3\nline 4\nline 5\nline 6\n',
    );
  });
});

it('an engine that is not this user’s to use is left alone, and set-up says who may let the user in', async () => {
  sudo();
  program('id', 'echo users');
  const socket = join(folder, 'docker.sock');
  const server = createServer().listen(socket);
  await new Promise((resolve) => server.once('listening', resolve));
  chmodSync(socket, 0);
  const { status, stderr } = run('await engine.ensureEngine(setup.announce);', { env: { DOCKER_HOST: `unix://${socket}` } });
  server.close();
  expect([status, stderr]).toEqual([
    1,
    expect.stringMatching(/^kiln: the Docker engine at unix.* runs, but (\S+) may not use it.*: sudo usermod -aG docker \1;/),
  ]);
  expect(ran()).toEqual([expect.stringMatching(/^id -nG /)]);
});
