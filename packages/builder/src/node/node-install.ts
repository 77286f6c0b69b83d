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
  if (manifest === undefined || !needed(manifest, true)) return { steps: () => [COPY_SOURCES], prune: [], notes: [] };
  const manager = await packageManager(folder, manifest);
  return {
    steps: (forBuild) => (needed(manifest, forBuild) ? installSteps(folder, manifest, manager, forBuild) : [COPY_SOURCES]),
    prune: manager.prune === undefined ? [] : [`RUN ${manager.prune}`],
    notes: [hasPackages(manifest, true) ? lockfileNote(folder, manager) : `found the script "${installScripts(manifest)[0]}": running it`],
  };
}

/** Whether an install does anything: a project's own install scripts run where it has no dependencies, too. */
function needed(manifest: Manifest, forBuild: boolean): boolean {
  return hasPackages(manifest, forBuild) || installScripts(manifest).length > 0;
}

/** The root of a workspace needs an install for its packages, and for the links among them. */
function hasPackages({ hasWorkspaces, dependencies, devDependencies, peerDependencies }: Manifest, forBuild: boolean): boolean {
  return hasWorkspaces || Object.keys({ ...dependencies, ...peerDependencies, ...(forBuild && devDependencies) }).length > 0;
}

function installScripts({ scripts }: Manifest): string[] {
  return INSTALL_SCRIPTS.filter((name) => name in scripts);
}

function installSteps(folder: SourceFolder, manifest: Manifest, manager: PackageManager, forBuild: boolean): string[] {
  // An install script may run one of the tools.
  const withTools = forBuild || (installScripts(manifest).length > 0 && Object.keys(manifest.devDependencies).length > 0);
  const files = [PACKAGE_JSON, manager.lockfile, ...manager.settings].filter((name) => name !== undefined && folder.has(name));
  const needsSources =
    manifest.hasWorkspaces ||
    folder.files.some(({ path }) => path.startsWith('patches/')) ||
    installScripts(manifest).length > 0 ||
    Object.values({ ...manifest.dependencies, ...manifest.devDependencies }).some((spec) =>
      /^(file|link|portal|patch|workspace):/.test(spec),
    );
  return [
    ...(manager.fetch === undefined ? [] : [`RUN ${manager.fetch}`]),
    needsSources ? COPY_SOURCES : `COPY ${files.map((name) => `${SOURCES}/${name}`).join(' ')} ${APP}/`,
    // `prepare` is for developers (hooks, compilers), and its tools may be missing here.
    `RUN npm pkg delete scripts.prepare --no-update-notifier && ${withTools ? manager.installAll : manager.installForRun}`,
    ...(needsSources ? [] : [COPY_SOURCES]),
    ...(withTools && !forBuild && manager.prune !== undefined ? [`RUN ${manager.prune}`] : []),
  ];
}

function lockfileNote(folder: SourceFolder, { lockfile }: PackageManager): string {
  if (lockfile !== undefined) return `found ${lockfile}: installing what it says`;
  const bun = BUN_LOCKFILES.find((name) => folder.has(name));
  const why = bun === undefined ? 'no lockfile' : `${bun} is not read, and there is no other lockfile`;
  return `${why}: installing the newest versions that ${PACKAGE_JSON} allows`;
}
