import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { type FunctionConfig, resolveConfig } from '@kiln/contract/config/function-config';
import { chooseExport, type ExportDescription } from '@kiln/runner/handler/exports';
import { NODE_RUNNER } from './program-for.js';
import type { FunctionSpec } from './spec.js';

const TIME_MS = 30_000;
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

const run = promisify(execFile);

/**
 * The function's configuration with what the module's own `config` says below `kiln.json`. A process of its own loads the module, as
 * a build does. Undefined where it does not load or the reading was given up: the start shows why.
 * @throws KilnError naming each wrong field
 */
export async function readModuleConfig(
  spec: FunctionSpec,
  env: Record<string, string | undefined>,
  signal: AbortSignal,
): Promise<FunctionConfig | undefined> {
  const { name, folder, declared, config, program } = spec;
  if (program.kind !== 'runner') return config;
  const options = { cwd: folder, env, timeout: TIME_MS, signal, maxBuffer: MAX_OUTPUT_BYTES };
  const described = await run(process.execPath, [NODE_RUNNER, 'describe', program.entry], options).catch(() => undefined);
  if (described === undefined) return undefined;
  const { exports } = JSON.parse(described.stdout.trimEnd().split('\n').at(-1) ?? '') as { exports: ExportDescription[] };
  const chosen = chooseExport(exports, { handler: declared.handler, functionName: name });
  return resolveConfig({ ...(chosen?.config as object | undefined), ...declared }, 'runner', `config of ${chosen?.name}`);
}
