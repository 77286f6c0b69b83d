import { posix } from 'node:path';
import { entryNames } from '@kiln/contract/config/entry-names';
import { KilnError } from '@kiln/contract/errors';
import type { SourceFolder } from '../source/source-folder.js';

/** Node as the runner and every Node server has it. */
export const NODE_IMAGE = 'node:24-trixie-slim';
export const PACKAGE_JSON = 'package.json';

/** The parts of a package.json that a build needs. */
export interface Manifest {
  /** Dependencies and optional dependencies: needed at run time. */
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
  /** npm installs them beside the others. */
  peerDependencies: Record<string, string>;
  scripts: Record<string, string>;
  packageManager: string | undefined;
  hasWorkspaces: boolean;
}

/** @throws KilnError `bad_request` where it is no JSON object; undefined where there is none. */
export async function readManifest(folder: SourceFolder): Promise<Manifest | undefined> {
  if (!folder.has(PACKAGE_JSON)) return undefined;
  const content = await folder.readJson(PACKAGE_JSON);
  if (!isRecord(content)) throw new KilnError('bad_request', `${PACKAGE_JSON} must be an object`);
  const { packageManager } = content;
  return {
    dependencies: { ...texts(content['optionalDependencies']), ...texts(content['dependencies']) },
    devDependencies: texts(content['devDependencies']),
    peerDependencies: texts(content['peerDependencies']),
    scripts: texts(content['scripts']),
    packageManager: typeof packageManager === 'string' ? packageManager : undefined,
    hasWorkspaces: 'workspaces' in content || folder.has('pnpm-workspace.yaml'),
  };
}

export function dependsOn({ dependencies, devDependencies }: Manifest, name: string): boolean {
  return Object.hasOwn(dependencies, name) || Object.hasOwn(devDependencies, name);
}

/** A script for the output: cut, and without control characters, which could change a terminal. */
export function printable(script: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this takes out
  return script.slice(0, 200).replace(/[\u0000-\u001f\u007f]/g, ' ');
}

/** The folder's module, or the one that `entry` names; undefined where it is not among the sources. */
export async function moduleOf(folder: SourceFolder, entry = '.'): Promise<string | undefined> {
  const named = posix.join(entry);
  const names = folder.has(named) ? [named] : entryNames(await mainOf(folder, posix.join(named, PACKAGE_JSON)));
  const below = folder.has(named) ? '' : named;
  const path = names.map((name) => posix.join(below, name)).find((name) => folder.has(name));
  // The detector of another language takes a module of that language.
  return path !== undefined && !/\.(py|go|rs)$/.test(path) ? path : undefined;
}

/** The `main` of a package.json. */
export async function mainOf(folder: SourceFolder, path = PACKAGE_JSON): Promise<string | undefined> {
  const content = folder.has(path) ? await folder.readJson(path) : undefined;
  const main = isRecord(content) ? content['main'] : undefined;
  return typeof main === 'string' && main !== '' ? main : undefined;
}

function texts(value: unknown): Record<string, string> {
  if (!isRecord(value)) return {};
  return Object.fromEntries(Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
