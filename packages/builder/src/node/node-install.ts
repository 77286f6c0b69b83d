import { APP, COPY_SOURCES, SOURCES } from '../dockerfile/layout.js';
import type { SourceFolder } from '../source/source-folder.js';
import { type Manifest, PACKAGE_JSON } from './manifest.js';
import { type PackageManager, packageManager } from './package-manager.js';

/** Scripts that an install runs; they may need the sources. */
const INSTALL_SCRIPTS = ['preinstall', 'install', 'postinstall'];
const BUN_LOCKFILES = ['bun.lock', 'bun.lockb'];

/** The part of a Dockerfile that puts the sources and the dependencies of a Node project into `/app`. */
export interface NodeInstall {
  /** @param forBuild with development dependencies */
  steps(forBuild: boolean): string[];
  /** Removes the development dependencies. */
  prune: string[];
  notes: string[];
}

/** Installs before it copies the sources, so that the engine repeats the install only when the dependencies change. */
export async function nodeInstall(folder: SourceFolder, manifest: Manifest | undefined): Promise<NodeInstall> {
  const needed = (forBuild: boolean) =>
    manifest !== undefined && Object.keys({ ...manifest.dependencies, ...(forBuild && manifest.devDependencies) }).length > 0;
  if (manifest === undefined || !needed(true)) return { steps: () => [COPY_SOURCES], prune: [], notes: [] };
  const manager = await packageManager(folder, manifest);
  return {
    steps: (forBuild) => (needed(forBuild) ? installSteps(folder, manifest, manager, forBuild) : [COPY_SOURCES]),
    prune: manager.prune === undefined ? [] : [`RUN ${manager.prune}`],
    notes: [lockfileNote(folder, manager)],
  };
}

function installSteps(folder: SourceFolder, manifest: Manifest, manager: PackageManager, forBuild: boolean): string[] {
  const files = [PACKAGE_JSON, manager.lockfile, ...manager.settings].filter((name) => name !== undefined && folder.has(name));
  const needsSources =
    manifest.hasWorkspaces ||
    folder.files.some(({ path }) => path.startsWith('patches/')) ||
    INSTALL_SCRIPTS.some((name) => name in manifest.scripts) ||
    Object.values({ ...manifest.dependencies, ...manifest.devDependencies }).some((spec) =>
      /^(file|link|portal|patch|workspace):/.test(spec),
    );
  return [
    ...(manager.fetch === undefined ? [] : [`RUN ${manager.fetch}`]),
    needsSources ? COPY_SOURCES : `COPY ${files.map((name) => `${SOURCES}/${name}`).join(' ')} ${APP}/`,
    // `prepare` is for developers (hooks, compilers), and its tools may be missing here.
    `RUN npm pkg delete scripts.prepare --no-update-notifier && ${forBuild ? manager.installAll : manager.installForRun}`,
    ...(needsSources ? [] : [COPY_SOURCES]),
  ];
}

function lockfileNote(folder: SourceFolder, { lockfile }: PackageManager): string {
  if (lockfile !== undefined) return `found ${lockfile}: installing what it says`;
  const bun = BUN_LOCKFILES.find((name) => folder.has(name));
  const why = bun === undefined ? 'no lockfile' : `${bun} is not read, and there is no other lockfile`;
  return `${why}: installing the newest versions that ${PACKAGE_JSON} allows`;
}
