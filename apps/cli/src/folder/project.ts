import { readFile, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { type DeclaredFunction, readKilnJson, readProjectName } from '@kiln/contract/config/function-config';
import { KilnError } from '@kiln/contract/errors';
import { FUNCTION_NAME_PATTERN, suggestName } from '@kiln/contract/names';
import { parseKilnJson } from '@kiln/project/kiln-json';
import { Failure, UsageFailure } from '../failure.js';

const KILN_JSON = 'kiln.json';
const MAX_KILN_JSON_BYTES = 1024 * 1024;

/** A folder with code and the functions that it declares. */
export interface Project {
  folder: string;
  functions: DeclaredFunction[];
  /** The content that replaces `kiln.json`, when the command line gives a name. */
  kilnJson: string | undefined;
  /** The project that `kiln.json` names. */
  project: string | undefined;
}

/** Reads which functions a folder holds. @throws Failure or KilnError that says what is wrong with the folder */
export async function readProject(path: string, nameGiven?: string): Promise<Project> {
  const folder = await requireFolder(path);
  const content = await readKilnJsonOf(folder);
  const project = content && readProjectName(content);
  if (nameGiven === undefined) return { folder, functions: declared(content ?? {}, basename(folder)), kilnJson: undefined, project };
  const form = `use a-z, 0-9 and -, as in: kiln deploy --name ${suggestName(nameGiven)}`;
  if (!FUNCTION_NAME_PATTERN.test(nameGiven)) throw new UsageFailure(`"${nameGiven}" can't be a function's name`, form);
  if (content && 'functions' in content)
    throw new UsageFailure('--name is for a single function, and kiln.json declares several', 'change the names in kiln.json');
  const named = { ...content, name: nameGiven };
  return { folder, functions: declared(named, nameGiven), kilnJson: JSON.stringify(named), project };
}

/** @throws UsageFailure */
export async function requireFolder(path: string): Promise<string> {
  const folder = resolve(path);
  const found = await stat(folder).catch(() => undefined);
  if (found?.isDirectory()) return folder;
  const problem = found ? `${folder} is not a folder` : `there is no folder ${folder}`;
  throw new UsageFailure(problem, 'give the folder that holds the code, or make one: kiln init <dir>');
}

/** The object in a folder's `kiln.json`; undefined without that file. @throws Failure */
export async function readKilnJsonOf(folder: string): Promise<object | undefined> {
  const file = join(folder, KILN_JSON);
  const found = await stat(file).catch(() => undefined);
  if (found === undefined) return undefined;
  if (found.size > MAX_KILN_JSON_BYTES) throw new Failure(`${file} is ${found.size} bytes`, `keep it under ${MAX_KILN_JSON_BYTES} bytes`);
  try {
    return parseKilnJson(await readFile(file, 'utf8'), file);
  } catch (error) {
    throw error instanceof KilnError ? new Failure(error.message, error.fix ?? 'correct it') : error;
  }
}

function declared(content: object, folderName: string): DeclaredFunction[] {
  const isNamed = 'name' in content || 'functions' in content;
  const isName = FUNCTION_NAME_PATTERN.test(folderName);
  const suggested = suggestName(folderName);
  try {
    // Reports a misspelt key first: it may be the name.
    const functions = readKilnJson(content, isName ? folderName : suggested);
    if (isNamed || isName) return functions;
  } catch (error) {
    if (!(error instanceof KilnError) || error.fix !== undefined) throw error;
    throw new KilnError(error.code, error.message, { fix: 'correct kiln.json and deploy again', fields: error.fields });
  }
  const fix = `add "name": "${suggested}" to kiln.json, or deploy with --name ${suggested}`;
  throw new Failure(`the folder's name "${folderName}" can't be a function's name, and kiln.json gives none`, fix);
}
