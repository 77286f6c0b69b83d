import { createRequire } from 'node:module';
import type { BuildPlan } from '@kiln/builder/detect/detector';
import { moduleOf } from '@kiln/builder/node/manifest';
import { TYPESCRIPT_NAMES } from '@kiln/builder/node/typescript';
import type { SourceFolder } from '@kiln/builder/source/source-folder';
import type { FunctionConfigInput } from '@kiln/contract/config/function-config';
import type { ImageKind } from '@kiln/contract/kinds';

/** What serves a function on this machine: a runner of the platform, and what it is to serve. */
export interface DevProgram {
  command: string;
  args: readonly string[];
  env: Record<string, string>;
  entry: string;
  handler: string | undefined;
  kind: ImageKind;
}

const require = createRequire(import.meta.url);
export const NODE_RUNNER = require.resolve('@kiln/runner/runner.mjs');
const PYTHON_RUNNER = require.resolve('@kiln/runner/python/runner.py');
// Compiled modules beside the sources would look like a change of them.
const PYTHON = { PYTHONDONTWRITEBYTECODE: '1', PYTHONUNBUFFERED: '1' };

/** Undefined for what only runs in a container. TypeScript is read as Node reads it: types are stripped, nothing is bundled. */
export async function programFor(
  folder: SourceFolder,
  plan: BuildPlan,
  { entry, handler }: FunctionConfigInput,
): Promise<DevProgram | undefined> {
  const { kind } = plan;
  if (plan.entry === undefined) return undefined;
  if (kind === 'python') {
    return { command: 'python3', args: [PYTHON_RUNNER], env: PYTHON, entry: plan.entry, handler: plan.handler ?? handler, kind };
  }
  if (kind !== 'runner') return undefined;
  const source = (await moduleOf(folder, entry)) ?? TYPESCRIPT_NAMES.find((name) => folder.has(name));
  const args = ['--enable-source-maps', NODE_RUNNER];
  return { command: process.execPath, args, env: {}, entry: source ?? plan.entry, handler, kind };
}
