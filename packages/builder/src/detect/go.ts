import { posix } from 'node:path';
import { SOURCES } from '../dockerfile/layout.js';
import type { Prepared } from '../engine/prepared-image.js';
import { compiledPackage } from '../go/build-constraint.js';
import type { SourceFolder } from '../source/source-folder.js';
import type { BuildPlan, Detector } from './detector.js';
import { RUN_PROGRAM, whichProgram } from './program.js';

const BASE_IMAGE = 'golang:1.24-trixie';
const GO_MOD = 'go.mod';
const PACKAGE_PATH = /^(?:\.\/)?(?:[A-Za-z0-9_][\w.-]*(?:\/|$))*$/;
const COMMAND = /^cmd\/[A-Za-z0-9_][\w.-]*$/;
/** The package clause comes before all code; a licence or a long comment may stand before it. */
const HEAD_BYTES = 64 * 1024;
/** The same flags for every build, or Go can't use what it has compiled before. */
const FLAGS = '-trimpath -buildvcs=false -tags timetzdata';

/** Go compiles its standard library, too: once in this image instead of once for each function. */
const PREPARED: Prepared = {
  name: 'golang',
  dockerfile: `FROM ${BASE_IMAGE}
ENV CGO_ENABLED=0 GOTOOLCHAIN=auto
RUN go build ${FLAGS} net/http encoding/json log/slog
`,
};

/** A Go module whose program listens on PORT. */
export const goDetector: Detector = {
  looksFor: () => `Go: ${GO_MOD} and a package main in the folder or in cmd/<name>`,
  async detect(folder, { entry }) {
    if (!folder.has(GO_MOD)) return undefined;
    const path = await mainPackage(folder, entry);
    if (path === undefined) return undefined;
    const goMod = await folder.readText(GO_MOD);
    return {
      kind: 'http',
      baseImages: [BASE_IMAGE],
      prepared: PREPARED,
      notes: [`found ${GO_MOD} with package main in ${path}`],
      dockerfile: ({ preparedImage }) => dockerfile(preparedImage, folder, goMod, path),
    } satisfies BuildPlan;
  },
};

async function mainPackage(folder: SourceFolder, entry: string | undefined): Promise<string | undefined> {
  const files = goFiles(folder);
  if (entry !== undefined) {
    const path = directoryOf(entry);
    return PACKAGE_PATH.test(entry) && (await isMain(folder, files.get(path))) ? relativePath(path) : undefined;
  }
  if (await isMain(folder, files.get(''))) return '.';
  const mains: string[] = [];
  for (const [directory, paths] of files) if (COMMAND.test(directory) && (await isMain(folder, paths))) mains.push(directory);
  if (mains.length > 1) throw whichProgram(mains);
  return mains[0] === undefined ? undefined : relativePath(mains[0]);
}

/** The paths of Go sources by their directory. */
function goFiles(folder: SourceFolder): Map<string, string[]> {
  const sources = folder.files.map(({ path }) => path).filter((path) => path.endsWith('.go'));
  return Map.groupBy(sources, directoryOf);
}

/** `cmd/x` of `./cmd/x/`, `cmd/x` and `cmd/x/main.go`. */
function directoryOf(path: string): string {
  const relative = path.startsWith('./') ? path.slice(2) : path;
  if (relative.endsWith('.go')) return relative.slice(0, Math.max(0, relative.lastIndexOf('/')));
  return relative.endsWith('/') ? relative.slice(0, -1) : relative;
}

async function isMain(folder: SourceFolder, paths: readonly string[] = []): Promise<boolean> {
  for (const path of paths) if (compiledPackage(posix.basename(path), await folder.readStart(path, HEAD_BYTES)) === 'main') return true;
  return false;
}

/** Whether the module needs other modules. */
function requires(goMod: string): boolean {
  return goMod.split('\n').some((line) => {
    const [word = ''] = line.trimStart().split(/\s/, 1);
    // The path of a module starts with a host name, which has a dot.
    const [host = '', path] = word.split('/', 2);
    return word === 'require' || word.startsWith('require(') || (path !== undefined && host.slice(1).includes('.'));
  });
}

function relativePath(directory: string): string {
  return directory === '' ? '.' : `./${directory}`;
}

function dockerfile(preparedImage: string, folder: SourceFolder, goMod: string, path: string): string[] {
  const vendored = folder.has('vendor/modules.txt');
  // A module that a local folder replaces can't be fetched from the list alone.
  const fetchFirst = !vendored && requires(goMod) && !/=>\s*\.{0,2}\//.test(goMod);
  const lists = [GO_MOD, 'go.sum'].filter((name) => folder.has(name)).map((name) => `${SOURCES}/${name}`);
  return [
    `FROM ${preparedImage} AS build`,
    'WORKDIR /src',
    ...(fetchFirst ? [`COPY ${lists.join(' ')} ./`, 'RUN go mod download'] : []),
    `COPY ${SOURCES}/ ./`,
    `RUN go build ${FLAGS} -ldflags='-s -w' -o /out/function ${path}`,
    'FROM scratch',
    ...RUN_PROGRAM,
  ];
}
