import type { SourceFolder } from '../source/source-folder.js';
import type { Manifest } from './manifest.js';

/** The commands of one package manager. */
export interface PackageManager {
  /** Installs the package manager itself; undefined for npm, which the image has. */
  fetch?: string;
  lockfile: string | undefined;
  /** Installs the versions of the lockfile, or the newest that package.json allows. */
  installAll: string;
  installForRun: string;
  /** Removes development dependencies; undefined where the package manager can't. */
  prune?: string;
  /** Its settings files, needed for the install. */
  settings: string[];
}

const NPM_LOCKFILES = ['package-lock.json', 'npm-shrinkwrap.json'];
const PNPM_LOCKFILE = 'pnpm-lock.yaml';
const PNPM_WORKSPACE = 'pnpm-workspace.yaml';
const YARN_LOCKFILE = 'yarn.lock';
/** By the format of the lockfile: a newer version would write another format, which a frozen install refuses. */
const BERRY_BY_FORMAT: Readonly<Record<string, string>> = { '4': '2', '5': '3.1', '6': '3', '8': '4.9' };
const CLEAN = '&& rm -rf /tmp/install';

/** The one that `packageManager` names, else the one whose lockfile the folder has, else npm. */
export async function packageManager(folder: SourceFolder, manifest: Manifest): Promise<PackageManager> {
  const [, name, version] = /^(npm|pnpm|yarn)@(\d+\.\d+\.\d+[\w.-]*)/.exec(manifest.packageManager ?? '') ?? [];
  const lockfile = lockfileOf(folder, name);
  // Only pnpm knows the packages of its workspace.
  const isPnpm =
    name === 'pnpm' || lockfile === PNPM_LOCKFILE || (name === undefined && lockfile === undefined && folder.has(PNPM_WORKSPACE));
  if (isPnpm) return pnpm(version ?? (await pnpmVersion(folder, lockfile)), lockfile);
  if (name === 'yarn' || lockfile === YARN_LOCKFILE) return await yarn(folder, version, lockfile);
  return npm(lockfile);
}

function lockfileOf(folder: SourceFolder, name: string | undefined): string | undefined {
  const own = { npm: NPM_LOCKFILES, pnpm: [PNPM_LOCKFILE], yarn: [YARN_LOCKFILE] };
  const names = name === undefined ? Object.values(own).flat() : own[name as keyof typeof own];
  return names.find((file) => folder.has(file));
}

function npm(lockfile: string | undefined): PackageManager {
  const quiet = '--no-audit --no-fund --no-update-notifier';
  const install = `npm ${lockfile === undefined ? 'install --no-package-lock' : 'ci'}`;
  return {
    lockfile,
    installAll: `${install} --include=dev ${quiet} --cache /tmp/install ${CLEAN}`,
    installForRun: `${install} --omit=dev ${quiet} --cache /tmp/install ${CLEAN}`,
    prune: `npm prune --omit=dev ${quiet} --cache /tmp/install ${CLEAN}`,
    settings: ['.npmrc'],
  };
}

function pnpm(version: string, lockfile: string | undefined): PackageManager {
  const frozen = lockfile === undefined ? '--no-frozen-lockfile' : '--frozen-lockfile';
  const install = (more: string) => `CI=true pnpm install ${frozen}${more} --store-dir /tmp/install ${CLEAN}`;
  return {
    fetch: fetch(`pnpm@${version}`),
    lockfile,
    installAll: install(' --prod=false'),
    installForRun: install(' --prod'),
    prune: 'CI=true pnpm prune --prod --ignore-scripts',
    settings: ['.npmrc', PNPM_WORKSPACE, '.pnpmfile.cjs'],
  };
}

async function pnpmVersion(folder: SourceFolder, lockfile: string | undefined): Promise<string> {
  const text = lockfile === undefined ? '' : await folder.readStart(lockfile);
  const [, format] = /^lockfileVersion: '?(\d+)/m.exec(text) ?? [];
  // Each version reads its own lockfile format; later versions refuse or rewrite it.
  return format === '5' ? '7' : format === '6' ? '8' : '10';
}

async function yarn(folder: SourceFolder, version: string | undefined, lockfile: string | undefined): Promise<PackageManager> {
  const text = lockfile === undefined ? '' : await folder.readStart(lockfile);
  const [, format] = /^__metadata:\s+version: (\d+)/m.exec(text) ?? [];
  const isClassic = version === undefined ? format === undefined : version.startsWith('1.');
  return isClassic ? yarnClassic(version ?? '1.22.22', lockfile) : yarnBerry(version ?? BERRY_BY_FORMAT[format ?? ''] ?? '4', lockfile);
}

function yarnClassic(version: string, lockfile: string | undefined): PackageManager {
  const frozen = lockfile === undefined ? '--no-lockfile' : '--frozen-lockfile';
  const install = (more: string) => `yarn install ${frozen} --non-interactive${more} --cache-folder /tmp/install ${CLEAN}`;
  return {
    fetch: fetch(`yarn@${version}`),
    lockfile,
    installAll: install(' --production=false'),
    installForRun: install(' --production'),
    prune: install(' --production --ignore-scripts'),
    settings: ['.npmrc', '.yarnrc'],
  };
}

/** With `node_modules`: Kiln's runner does not load modules through yarn's own resolver. */
function yarnBerry(version: string, lockfile: string | undefined): PackageManager {
  const frozen = lockfile === undefined ? '--no-immutable' : '--immutable';
  const variables = 'YARN_NODE_LINKER=node-modules YARN_ENABLE_TELEMETRY=0 YARN_IGNORE_PATH=1 YARN_CACHE_FOLDER=/tmp/install';
  // yarn does not read npm's settings, in which an image names its certificate authorities.
  const trust = 'cafile=$(npm config get cafile) && if [ "$cafile" != null ]; then export YARN_HTTPS_CA_FILE_PATH="$cafile"; fi';
  const install = `${trust} && ${variables} yarn install ${frozen} ${CLEAN}`;
  return {
    fetch: fetch(`@yarnpkg/cli-dist@${version}`),
    lockfile,
    installAll: install,
    installForRun: install,
    settings: ['.npmrc', '.yarnrc.yml'],
  };
}

/** `--force`, because images of Node have a yarn of their own. */
function fetch(what: string): string {
  return `npm install --global --force --no-audit --no-fund --no-update-notifier --cache /tmp/install ${what} ${CLEAN}`;
}
