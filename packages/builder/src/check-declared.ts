import { type FunctionConfigInput, resolveConfig } from '@kiln/contract/config/function-config';
import { KilnError } from '@kiln/contract/errors';
import type { BuildPlan } from './detect/detector.js';
import { exportedNames } from './node/exported-names.js';
import type { SourceFolder } from './source/source-folder.js';

const KILN_JSON = 'kiln.json';
const MAX_BYTES = 1024 * 1024;

export interface Declared {
  plan: BuildPlan;
  /** The function's part of `kiln.json`. */
  config: FunctionConfigInput;
  functionName: string;
}

/** Finds faults of the configuration before the build that every build would end with. @throws KilnError `bad_request` */
export async function checkDeclared(folder: SourceFolder, { plan, config, functionName }: Declared): Promise<void> {
  resolveConfig({ ...plan.config, ...config }, plan.kind, KILN_JSON);
  const { kind, module } = plan;
  if (kind !== 'runner' || module === undefined) return;
  const names = exportedNames(await folder.readStart(module, MAX_BYTES));
  if (names === undefined) return;
  const { handler } = config;
  const { functions } = names;
  // The functions of a default export may come from another module.
  if (names.hasDefault || names.mayHave(handler ?? functionName) || functions.length < (handler === undefined ? 2 : 1)) return;
  const what =
    handler === undefined
      ? `several functions, and nothing says which of them is "${functionName}"`
      : `no "${handler}", which kiln.json names as the handler; there are`;
  const message = `${module} exports ${what}: ${functions.join(', ')}`;
  const fix = `write "handler": "${functions[0]}" into kiln.json`;
  throw new KilnError('bad_request', message, { fix, fields: [{ field: 'handler', message }] });
}
