#!/usr/bin/env node
// Base images that Kiln's Dockerfiles name, made from Debian packages where no registry can be reached: on a machine with
// one, the first pull succeeds and nothing of this runs. Each recipe gives an image that serves the same Dockerfile.
//
//   node scripts/base-images.mjs [NAME ...]     make those that are missing (default: the ones that functions need)
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { installPackages } from './packages.mjs';
import { NODE_VERSION, nodePackage } from './tools.mjs';

const PULL_TIMEOUT_MS = 120_000;
const NPM_VERSION = '11.21.2';
const DEBIAN = 'debian:trixie-slim';
const MOTO_PACKAGES = [
  'python3-moto',
  'python3-flask',
  'python3-flask-cors',
  'python3-setuptools',
  'python3-docker',
  'python3-openapi-spec-validator',
];
const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt';

/** Each recipe: the folder it builds in is empty; it writes a Dockerfile and whatever that copies. */
const RECIPES = {
  'node:24-trixie-slim': { from: DEBIAN, write: writeNodeImage },
  'python:3.13-slim-trixie': {
    from: DEBIAN,
    write: (dir) => writeAptImage(dir, ['python3', 'python3-pip'], 'RUN ln -s /usr/bin/python3 /usr/local/bin/python\n'),
  },
  'golang:1.24-trixie': {
    from: DEBIAN,
    write: (dir) => writeAptImage(dir, ['ca-certificates', 'git', 'golang-go'], 'ENV GOPATH=/go GOTOOLCHAIN=local\nWORKDIR /go\n'),
  },
  'rust:1-slim-trixie': {
    from: DEBIAN,
    write: (dir) => writeAptImage(dir, ['ca-certificates', 'cargo', 'gcc', 'libc6-dev', 'rustc']),
  },
  'redis:8': {
    from: DEBIAN,
    write: (dir) => writeAptImage(dir, ['redis-server'], 'RUN install -d -o redis -g redis /data\nWORKDIR /data\nUSER redis\n'),
  },
  'registry:2': {
    from: DEBIAN,
    write: (dir) =>
      writeAptImage(
        dir,
        ['ca-certificates', 'docker-registry'],
        'RUN ln -s /usr/bin/docker-registry /usr/local/bin/registry && mkdir -p /var/lib/registry\n',
      ),
  },
  'motoserver/moto:5.1.1': {
    from: DEBIAN,
    write: (dir) => writeAptImage(dir, MOTO_PACKAGES, 'ENTRYPOINT ["moto_server"]\n'),
  },
  'caddy:2': {
    from: DEBIAN,
    write: (dir) => writeAptImage(dir, ['ca-certificates', 'caddy'], 'ENV XDG_CONFIG_HOME=/config XDG_DATA_HOME=/data\n'),
  },
};

export const FUNCTION_IMAGES = ['node:24-trixie-slim', 'python:3.13-slim-trixie'];

/** Makes sure that the engine has each image: there already, pulled, or made here. Safe to call again. */
export function ensureBaseImages(names, announce) {
  for (const name of names) {
    if (hasImage(name)) continue;
    announce(`base image ${name}: pulling`);
    if (pull(name)) continue;
    announce(`base image ${name}: no registry answers, making it from Debian packages`);
    makeImage(name, announce);
  }
}

function hasImage(name) {
  return spawnSync('docker', ['image', 'inspect', name], { stdio: 'ignore' }).status === 0;
}

function pull(name) {
  return spawnSync('docker', ['pull', '--quiet', name], { stdio: 'ignore', timeout: PULL_TIMEOUT_MS }).status === 0;
}

function makeImage(name, announce) {
  if (name === DEBIAN) return makeDebian(announce);
  const recipe = RECIPES[name];
  if (!recipe) throw new Error(`there is no recipe for the image ${name}: pull it on a machine with a registry and load it here`);
  ensureBaseImages([recipe.from], announce);
  const dir = mkdtempSync(join(tmpdir(), 'kiln-image-'));
  try {
    recipe.write(dir);
    execFileSync('docker', ['build', '--quiet', '--network', 'host', '--tag', name, dir], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, DOCKER_BUILDKIT: '0' },
    });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function makeDebian(announce) {
  installPackages(['debootstrap'], ['/usr/sbin/debootstrap'], announce);
  const root = mkdtempSync(join(tmpdir(), 'kiln-debian-'));
  try {
    execFileSync('debootstrap', ['--variant=minbase', 'trixie', root], { stdio: ['ignore', 'ignore', 'inherit'] });
    for (const folder of ['var/cache/apt/archives', 'var/lib/apt/lists', 'usr/share/doc', 'usr/share/man', 'usr/share/locale']) {
      rmSync(join(root, folder), { recursive: true, force: true });
    }
    mkdirSync(join(root, 'var/cache/apt/archives/partial'), { recursive: true });
    mkdirSync(join(root, 'var/lib/apt/lists/partial'), { recursive: true });
    importFolder(root, DEBIAN);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function importFolder(root, name) {
  const tar = join(root, '..', `${name.replaceAll(/[^a-z0-9]/g, '-')}-${process.pid}.tar`);
  try {
    execFileSync('tar', ['--numeric-owner', '-C', root, '-cf', tar, '.']);
    execFileSync('docker', ['import', '--change', 'CMD ["bash"]', tar, name], { stdio: ['ignore', 'ignore', 'inherit'] });
  } finally {
    rmSync(tar, { force: true });
  }
}

function writeNodeImage(dir) {
  const packages = join(dir, 'packages');
  execFileSync(
    'npm',
    [
      'install',
      '--prefix',
      packages,
      '--no-save',
      '--no-package-lock',
      '--ignore-scripts',
      '--silent',
      `${nodePackage()}@${NODE_VERSION}`,
      `npm@${NPM_VERSION}`,
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  cpSync(join(packages, 'node_modules', nodePackage(), 'bin', 'node'), join(dir, 'node'));
  cpSync(join(packages, 'node_modules', 'npm'), join(dir, 'npm'), { recursive: true });
  if (existsSync(CERTIFICATES)) copyFileSync(CERTIFICATES, join(dir, 'ca-certificates.crt'));
  writeFileSync(
    join(dir, 'Dockerfile'),
    `FROM ${DEBIAN}
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates libstdc++6 && rm -rf /var/lib/apt/lists/*
COPY node /usr/local/bin/node
COPY npm /usr/local/lib/node_modules/npm
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm \\
 && ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx
${trustCertificates(dir)}CMD ["node"]
`,
  );
}

/** An image made here trusts what this machine trusts: builds reach the package registry through the same proxies. */
function trustCertificates(dir) {
  if (!existsSync(CERTIFICATES)) return '';
  copyFileSync(CERTIFICATES, join(dir, 'ca-certificates.crt'));
  writeFileSync(join(dir, 'npmrc'), `cafile=${CERTIFICATES}\n`);
  return `COPY ca-certificates.crt ${CERTIFICATES}\nCOPY npmrc /usr/local/etc/npmrc\n`;
}

function writeAptImage(dir, packages, rest = '') {
  writeFileSync(
    join(dir, 'Dockerfile'),
    `FROM ${DEBIAN}
RUN apt-get update && apt-get install -y --no-install-recommends ${packages.join(' ')} && rm -rf /var/lib/apt/lists/*
${rest}`,
  );
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const names = process.argv.slice(2);
  ensureBaseImages(names.length > 0 ? names : FUNCTION_IMAGES, (line) => process.stderr.write(`kiln: ${line}\n`));
}
