import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readProjectName } from '@kiln/contract/config/function-config';
import { isSent } from '@kiln/project/ignore-rules';
import type { IgnoreRules } from '@kiln/project/left-out';
import { Failure } from '../failure.js';
import { sourceFolder } from './check-buildable.js';
import { findFiles, readIgnoreFiles } from './list-files.js';
import { type Project, readKilnJsonOf, readProject, requireFolder } from './project.js';

const KILN_JSON = 'kiln.json';
const MAX_DEPTH = 6;
const MAX_FOLDERS = 500;

/**
 * Reads one project, or, if the folder is no function itself, those of all folders below it with a `kiln.json`. They belong to the
 * project that the top `kiln.json` names, unless they name another. @throws Failure or KilnError that says what is wrong
 */
export async function readProjects(path: string, nameGiven?: string): Promise<Project[]> {
  const root = await requireFolder(path);
  const content = await readKilnJsonOf(root);
  const declares = Object.keys(content ?? {}).some((key) => key !== 'project');
  if (nameGiven !== undefined || declares) return [await readProject(root, nameGiven)];
  const folders = await foldersBelow(root);
  if (folders.length === 0 || (await isFunction(root))) return [await readProject(root)];
  const project = content && readProjectName(content);
  const projects = await Promise.all(folders.map(readBelow));
  return projects.flat().map((found) => ({ ...found, project: found.project ?? project }));
}

/** Reads one folder below. If its `kiln.json` names only a project, the folder is the root of another repository. */
async function readBelow(folder: string): Promise<Project[]> {
  const content = await readKilnJsonOf(folder);
  const namesProjectAlone = Object.keys(content ?? {}).join() === 'project';
  return namesProjectAlone ? await readProjects(folder) : [await readProject(folder)];
}

async function isFunction(root: string): Promise<boolean> {
  const { isFunctionRoot } = await import('@kiln/builder/detect/detect');
  return await isFunctionRoot(sourceFolder(root, (await findFiles(root)).files));
}

/** All folders with a `kiln.json`, sorted. Does not search inside such a folder. */
async function foldersBelow(root: string): Promise<string[]> {
  const found: string[] = [];
  await walk('', await readIgnoreFiles(root), 1);
  return found.sort();

  async function walk(below: string, rules: IgnoreRules, depth: number): Promise<void> {
    if (depth > MAX_DEPTH) return;
    for (const entry of await readdir(join(root, below), { withFileTypes: true })) {
      const path = below === '' ? entry.name : `${below}/${entry.name}`;
      if (!entry.isDirectory() || entry.name.startsWith('.') || !isSent(`${path}/`, rules)) continue;
      if (!existsSync(join(root, path, KILN_JSON))) await walk(path, rules, depth + 1);
      else if (found.push(join(root, path)) > MAX_FOLDERS)
        throw new Failure(`${root} holds more than ${MAX_FOLDERS} folders with a kiln.json`, 'deploy a part of it: kiln deploy <dir>');
    }
  }
}
