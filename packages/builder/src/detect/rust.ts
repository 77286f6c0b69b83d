import { SOURCES } from '../dockerfile/layout.js';
import type { SourceFolder } from '../source/source-folder.js';
import type { BuildPlan, Detector } from './detector.js';
import { RUN_PROGRAM, whichProgram } from './program.js';

const BUILD_IMAGE = 'rust:1-slim-trixie';
const RUN_IMAGE = 'debian:trixie-slim';
const MANIFEST = 'Cargo.toml';
const LOCKFILE = 'Cargo.lock';
const PACKAGE = /^\[package\]/;
const BIN_NAME = /^[A-Za-z0-9_][A-Za-z0-9_-]*$/;

/** A Rust package with a program that listens on PORT. */
export const rustDetector: Detector = {
  looksFor: () => `Rust: ${MANIFEST} with a program`,
  async detect(folder, { entry }) {
    if (!folder.has(MANIFEST)) return undefined;
    const bin = chooseBin(folder, await folder.readText(MANIFEST), entry);
    if (bin === undefined) return undefined;
    const locked = folder.has(LOCKFILE);
    return {
      kind: 'http',
      baseImages: [BUILD_IMAGE, RUN_IMAGE],
      notes: [`found ${MANIFEST} with the program ${bin}`, ...(locked ? [] : [`no ${LOCKFILE}: cargo takes the newest versions allowed`])],
      dockerfile: () => dockerfile(bin, locked),
    } satisfies BuildPlan;
  },
};

/** Name and source of each program, by cargo's rules. */
export function binsOf(folder: Pick<SourceFolder, 'files' | 'has'>, manifest: string): Map<string, string> {
  const bins = new Map<string, string>();
  const packageName = tableOf(manifest, PACKAGE)[0]?.get('name');
  if (packageName !== undefined && folder.has('src/main.rs')) bins.set(packageName, 'src/main.rs');
  for (const { path } of folder.files) {
    const [, file, directory] = /^src\/bin\/(?:([^/]+)\.rs|([^/]+)\/main\.rs)$/.exec(path) ?? [];
    const name = file ?? directory;
    if (name !== undefined) bins.set(name, path);
  }
  for (const bin of tableOf(manifest, /^\[\[bin\]\]/)) {
    const name = bin.get('name');
    const path = bin.get('path');
    // The table may rename a source that cargo finds by itself.
    for (const [other, source] of bins) if (source === path) bins.delete(other);
    if (name !== undefined) bins.set(name, path ?? bins.get(name) ?? `src/bin/${name}.rs`);
  }
  return new Map([...bins].filter(([name]) => BIN_NAME.test(name)));
}

/** `default-run` decides as for `cargo run`. One that names no program is asked about: cargo refuses it. */
function chooseBin(folder: SourceFolder, manifest: string, entry: string | undefined): string | undefined {
  const bins = binsOf(folder, manifest);
  if (entry !== undefined) return [...bins].find(([name, path]) => name === entry || path === entry.replace(/^\.\//, ''))?.[0];
  const names = [...bins.keys()];
  if (names.length < 2) return names[0];
  const preferred = tableOf(manifest, PACKAGE)[0]?.get('default-run');
  if (preferred !== undefined && bins.has(preferred)) return preferred;
  throw whichProgram(names);
}

/** The plain strings of each table with that header. */
function tableOf(toml: string, header: RegExp): Map<string, string>[] {
  const tables: Map<string, string>[] = [];
  let table: Map<string, string> | undefined;
  for (const line of toml.split(/\r?\n/).map((text) => text.trim())) {
    if (line.startsWith('[')) {
      table = header.test(line) ? new Map() : undefined;
      if (table !== undefined) tables.push(table);
      continue;
    }
    const [, key, double, single] = /^([\w-]+)\s*=\s*(?:"([^"\\]*)"|'([^']*)')/.exec(line) ?? [];
    const value = double ?? single;
    if (table !== undefined && key !== undefined && value !== undefined) table.set(key, value);
  }
  return tables;
}

function dockerfile(bin: string, locked: boolean): string[] {
  return [
    `FROM ${BUILD_IMAGE} AS build`,
    'WORKDIR /src',
    `COPY ${SOURCES}/ ./`,
    `RUN cargo build --release${locked ? ' --locked' : ''} --bin ${bin} && mkdir /out && cp target/release/${bin} /out/function && rm -rf target`,
    `FROM ${RUN_IMAGE}`,
    ...RUN_PROGRAM,
  ];
}
