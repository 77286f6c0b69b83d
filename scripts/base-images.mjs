#!/usr/bin/env node
// Base images that Kiln's Dockerfiles name, made from Debian packages where no registry can be reached: on a machine with
// one, the first pull succeeds and nothing of this runs. Each recipe gives an image that serves the same Dockerfile.
//
//   node scripts/base-images.mjs [NAME ...]     make those that are missing (default: the ones that functions need)
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildImage, engineHost, hasImage, importImage, pullImage, tarOf } from './engine/engine-api.mjs';
import { debootstrap, ROOTS } from './system/debootstrap.mjs';
import { asRoot, rootCommand } from './system/packages.mjs';
import { NODE_VERSION, nodePackage, TOOLS } from './tools.mjs';

const WORK = join(TOOLS, 'work');
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
export async function ensureBaseImages(names, announce, host = engineHost()) {
  for (const name of names) {
    if (await hasImage(name, host)) continue;
    announce(`base image ${name}: pulling`);
    const why = await pullImage(name, host).then(
      () => undefined,
      (error) => error.message,
    );
    if (why === undefined) continue;
    announce(`base image ${name}: the engine can't pull it (${why}); making it from Debian packages`);
    await makeImage(name, announce, host);
  }
}

async function makeImage(name, announce, host) {
  if (name === DEBIAN) return makeDebian(announce, host);
  const recipe = RECIPES[name];
  if (!recipe) throw new Error(`there is no recipe for the image ${name}: pull it on a machine with a registry and load it here`);
  await ensureBaseImages([recipe.from], announce, host);
  await inFolder(async (folder) => {
    recipe.write(folder);
    await buildImage(name, folder, host).catch((error) => {
      throw new Error(`base image ${name} can't be made: ${error.message}`);
    });
  });
}

/** As root throughout: the files of the root file system are root's. */
async function makeDebian(announce, host) {
  const root = join(ROOTS, `unfinished-${process.pid}`);
  try {
    debootstrap('trixie', root, [], announce);
    const needless = ['var/cache/apt/archives', 'var/lib/apt/lists', 'usr/share/doc', 'usr/share/man', 'usr/share/locale'];
    asRoot(['rm', '-rf', ...needless.map((folder) => join(root, folder))]);
    asRoot(['mkdir', '-p', join(root, 'var/cache/apt/archives/partial'), join(root, 'var/lib/apt/lists/partial')]);
    await importImage(DEBIAN, rootCommand(tarOf(root)), 'CMD ["bash"]', host);
  } finally {
    asRoot(['rm', '-rf', root]);
  }
}

/** Below the checkout: where /tmp is a small file system in memory, a copy of Node is too much for it. */
async function inFolder(work) {
  mkdirSync(WORK, { recursive: true });
  const folder = mkdtempSync(join(WORK, 'image-'));
  try {
    await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
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
  const announce = (line) => process.stderr.write(`kiln: ${line}\n`);
  await ensureBaseImages(names.length > 0 ? names : FUNCTION_IMAGES, announce).catch((error) => {
    announce(error.message);
    process.exitCode = 1;
  });
}
