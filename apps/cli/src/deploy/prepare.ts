import type { BuildArgs } from '@kiln/contract/api/build-args';
import type { BuildSecrets } from '@kiln/contract/api/build-secrets';
import type { FunctionConfigInput } from '@kiln/contract/config/function-config';
import { dotenvNote } from '@kiln/project/dotenv';
import { sourceDigest } from '@kiln/project/source-digest';
import { Failure, UsageFailure } from '../failure.js';
import { checkBuildable } from '../folder/check-buildable.js';
import { type HashedFile, hashFiles } from '../folder/hash-files.js';
import { listFiles, readDotenv } from '../folder/list-files.js';
import type { Project } from '../folder/project.js';
import { readProjects } from '../folder/repository.js';

/** One checked function of a folder, ready to be sent. */
export interface PreparedFunction {
  name: string;
  /** Its part of `kiln.json`. */
  config: FunctionConfigInput;
  folder: string;
  files: HashedFile[];
  /** Contents that replace files of the folder, by path. */
  replaced: ReadonlyMap<string, string>;
  buildArgs: BuildArgs;
  buildSecrets: BuildSecrets;
  sourceDigest: string;
  project: string | undefined;
  /** For the person who deploys it. */
  note: string | undefined;
}

/** The options that choose functions and change what is made of them. */
export interface Selection {
  /** Replaces the name of a single function. */
  name?: string;
  /** Replaces the project that `kiln.json` names. */
  project?: string;
  buildArg?: BuildArgs;
  buildSecret?: BuildSecrets;
  /** Only these functions. */
  only?: readonly string[];
}

/** Reads and checks a folder. Finds every error that this side can find, before anything is sent. @throws Failure or KilnError */
export async function prepare(path: string, selection: Selection = {}): Promise<PreparedFunction[]> {
  const { name, only } = selection;
  const projects = await readProjects(path, name);
  requireDistinct(projects);
  if (only !== undefined) requireKnown(projects, only);
  const candidates: PreparedFunction[] = [];
  for (const project of projects) {
    const functions = project.functions.filter((each) => only === undefined || only.includes(each.name));
    candidates.push(...(await candidatesOf({ ...project, functions }, selection)));
  }
  return candidates;
}

async function candidatesOf(found: Project, { project, buildArg: buildArgs = {}, buildSecret: buildSecrets = {} }: Selection) {
  const { folder, functions, kilnJson } = found;
  if (functions.length === 0) return [];
  const listed = await listFiles(folder);
  await checkBuildable(found, listed);
  const files = await hashFiles(listed);
  const dotenv = await readDotenv(folder, files);
  const replaced = new Map(kilnJson === undefined ? [] : [['kiln.json', kilnJson] as const]);
  const shared = { folder, files, replaced, buildArgs, buildSecrets, project: project ?? found.project };
  return functions.map(({ name, config }) => ({
    ...shared,
    name,
    config,
    sourceDigest: sourceDigest(files, config, buildArgs, Object.keys(buildSecrets)),
    note: dotenv === undefined ? undefined : dotenvNote(dotenv, config),
  }));
}

/** @throws Failure for a function that is declared twice */
export function requireDistinct(projects: readonly Project[]): void {
  const folders = new Map<string, string>();
  for (const { folder, functions } of projects) {
    for (const { name } of functions) {
      const other = folders.get(name);
      if (other !== undefined)
        throw new Failure(`both ${other} and ${folder} declare a function "${name}"`, 'give one of them another name');
      folders.set(name, folder);
    }
  }
}

/** @throws UsageFailure that names the unknown functions */
export function requireKnown(projects: readonly Project[], only: readonly string[]): void {
  const names = projects.flatMap(({ functions }) => functions.map(({ name }) => name));
  const unknown = only.filter((name) => !names.includes(name));
  if (unknown.length === 0) return;
  throw new UsageFailure(`no function here is called ${unknown.join(', ')}`, `choose among: ${names.join(', ')}`);
}
