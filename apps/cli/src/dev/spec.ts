import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { detect } from '@kiln/builder/detect/detect';
import { type FunctionConfig, type FunctionConfigInput, resolveConfig } from '@kiln/contract/config/function-config';
import { variableName } from '@kiln/contract/names';
import { requireDistinct } from '../deploy/prepare.js';
import { sourceFolder, unfit } from '../folder/check-buildable.js';
import { listFiles, readIfThere } from '../folder/list-files.js';
import { type Project, requireFolder } from '../folder/project.js';
import { readProjects } from '../folder/repository.js';
import { type DevProgram, programFor } from './program-for.js';

/** A function as `kiln dev` runs it. */
export interface FunctionSpec {
  name: string;
  folder: string;
  /** Its part of `kiln.json`, and the same with the defaults. */
  declared: FunctionConfigInput;
  config: FunctionConfig;
  program: DevProgram;
  env: Record<string, string>;
}

export interface Specs {
  root: string;
  functions: FunctionSpec[];
  /** What a user should know, a sentence each. */
  notes: string[];
}

const DOT_ENV = '.env';

/**
 * The functions of a folder or of those below it, with the variables that `kiln.json` and `.env` give them. What stands in the
 * function's own `.env` wins over one in the upper folder, and both over `kiln.json`: they hold what is this machine's own.
 * @throws Failure or KilnError saying what is wrong
 */
export async function readSpecs(path: string, only?: readonly string[]): Promise<Specs> {
  const root = await requireFolder(path);
  const projects = await readProjects(path);
  requireDistinct(projects);
  const specs: Specs = { root, functions: [], notes: [] };
  for (const project of projects) await addSpecs(specs, project, only);
  return specs;
}

async function addSpecs(specs: Specs, { folder, functions }: Project, only: readonly string[] | undefined): Promise<void> {
  const wanted = functions.filter(({ name }) => only === undefined || only.includes(name));
  if (wanted.length === 0) return;
  const sources = sourceFolder(folder, await listFiles(folder));
  const own = { ...(await readDotEnv(specs.root)), ...(await readDotEnv(folder)) };
  for (const { name, config } of wanted) {
    const plan = await detect(sources, config).catch((error: unknown) => {
      throw unfit(sources, name, config.entry, error);
    });
    const program = await programFor(sources, plan, config);
    if (program === undefined) {
      specs.notes.push(`${name}: ${plan.notes.join(', ')}; that needs an engine: run it with kiln up and kiln deploy`);
      continue;
    }
    const complete = resolveConfig({ ...plan.config, ...config }, plan.kind);
    const env = { ...complete.env, ...own };
    const missing = complete.secrets.filter((secret) => env[secret] === undefined);
    if (missing.length > 0) specs.notes.push(`${name}: nothing in ${DOT_ENV} stands for the secret ${missing.join(', ')}`);
    specs.functions.push({ name, folder, declared: config, config: complete, program, env });
  }
}

/** Names that the platform would refuse are left out here as well. */
async function readDotEnv(folder: string): Promise<Record<string, string>> {
  const text = await readIfThere(join(folder, DOT_ENV));
  const entries = Object.entries(parseEnv(text ?? '')).filter(([name]) => variableName.safeParse(name).success);
  return Object.fromEntries(entries) as Record<string, string>;
}
