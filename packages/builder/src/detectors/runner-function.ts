import { join, relative } from 'node:path';
import { KilnError } from '@kiln/contract/errors';
import { findEntry } from '@kiln/runner/entry';
import type { BuildPlan, Detector } from '../detect.js';
import { APP, SOURCES } from '../layout.js';
import { BASE_IMAGE } from '../runner-image.js';
import type { SourceFolder } from '../source-folder.js';

const PACKAGE_JSON = 'package.json';
const LOCKFILES = ['package-lock.json', 'npm-shrinkwrap.json'];
const OTHER_LOCKFILES = ['pnpm-lock.yaml', 'yarn.lock', 'bun.lock'];
/** Scripts that an install runs, and that may need the sources. */
const INSTALL_SCRIPTS = ['preinstall', 'install', 'postinstall'];

/** A module with exported functions, served by the runner. */
export const runnerDetector: Detector = {
  looksFor: ({ entry }, folder) =>
    entry === undefined ? `a module: ${findEntry(folder.root).lookedFor.join(', ')}` : `the module ${entry} (entry in kiln.json)`,
  async detect(folder, { entry }) {
    const manifest = await readManifest(folder);
    const found = entryOf(folder, entry);
    if (found === undefined) return undefined;
    const install = installOf(folder, manifest);
    return {
      kind: 'runner',
      baseImages: [BASE_IMAGE],
      entry: found,
      notes: [`found the module ${found}`, ...(install?.notes ?? [])],
      dockerfile: { sourcesUnder: SOURCES, content: (runnerImage) => dockerfile(runnerImage, install) },
    } satisfies BuildPlan;
  },
};

interface Manifest {
  dependencies: Record<string, unknown>;
  scripts: Record<string, unknown>;
}

interface Install {
  command: string;
  /** Files that the install needs; copied first, so that it runs again only when one of them changes. */
  files: string[];
  /** The whole folder is needed. */
  needsSources: boolean;
  notes: string[];
}

async function readManifest(folder: SourceFolder): Promise<Manifest | undefined> {
  if (!folder.has(PACKAGE_JSON)) return undefined;
  const content = await folder.readJson(PACKAGE_JSON);
  if (!isRecord(content)) throw new KilnError('bad_request', `${PACKAGE_JSON} must be an object`);
  const part = (key: string) => (isRecord(content[key]) ? content[key] : {});
  return { dependencies: { ...part('optionalDependencies'), ...part('dependencies') }, scripts: part('scripts') };
}

/** An entry that leaves the folder finds nothing: the sources are what was sent. */
function entryOf(folder: SourceFolder, entry = '.'): string | undefined {
  const { found } = findEntry(join(folder.root, entry));
  const path = found === undefined ? undefined : relative(folder.root, found);
  // Another language's module is for that language's detector.
  return path !== undefined && folder.has(path) && !path.endsWith('.py') ? path : undefined;
}

function installOf(folder: SourceFolder, manifest: Manifest | undefined): Install | undefined {
  if (manifest === undefined || Object.keys(manifest.dependencies).length === 0) return undefined;
  const lockfile = LOCKFILES.find((name) => folder.has(name));
  const other = OTHER_LOCKFILES.find((name) => folder.has(name));
  const local = Object.values(manifest.dependencies).some((spec) => typeof spec === 'string' && /^(file|link|workspace):/.test(spec));
  return {
    command: lockfile === undefined ? 'install --no-package-lock' : 'ci',
    files: [PACKAGE_JSON, ...LOCKFILES, '.npmrc'].filter((name) => folder.has(name)),
    needsSources: local || INSTALL_SCRIPTS.some((name) => name in manifest.scripts),
    notes: lockfile === undefined ? [noLockfile(other)] : [],
  };
}

function noLockfile(other: string | undefined): string {
  const why = other === undefined ? 'no package-lock.json' : `${other} is not read yet, and there is no package-lock.json`;
  return `${why}: npm install takes the newest versions that package.json allows`;
}

function dockerfile(runnerImage: string, install: Install | undefined): string {
  const copyAll = `COPY ${SOURCES}/ ${APP}/`;
  const lines = [`FROM ${runnerImage}`];
  if (install === undefined) lines.push(copyAll);
  else {
    const files = install.files.map((name) => `${SOURCES}/${name}`).join(' ');
    // `prepare` is for developers (hooks, compilers) and its tools are not installed here.
    const npm = `npm pkg delete scripts.prepare && npm ${install.command} --omit=dev --no-audit --no-fund --no-update-notifier --cache /tmp/npm && rm -rf /tmp/npm`;
    lines.push('USER root', install.needsSources ? copyAll : `COPY ${files} ${APP}/`, `RUN ${npm}`);
    if (!install.needsSources) lines.push(copyAll);
    lines.push('USER 65532:65532');
  }
  return `${lines.join('\n')}\n`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
