import { type FunctionConfigInput, readKilnJson, resolveConfig } from '@kiln/contract/config/function-config';
import { KilnError } from '@kiln/contract/errors';
import { type ImageKind } from '@kiln/contract/kinds';
import { chooseExport, type ExportDescription } from '@kiln/runner/handler/exports';
import type { SourceFolder } from './source-folder.js';

const KILN_JSON = 'kiln.json';

/**
 * The function's part of `kiln.json`; empty where the folder has no such file. A file for one function applies to any name under which
 * it is deployed; a file for several functions must have this name among them.
 * @throws KilnError `bad_request` that names each wrong field
 */
export async function declaredConfig(folder: SourceFolder, functionName: string): Promise<FunctionConfigInput> {
  if (!folder.has(KILN_JSON)) return {};
  const content = await folder.readJson(KILN_JSON);
  const functions = readKilnJson(content, functionName);
  const several = typeof content === 'object' && content !== null && 'functions' in content;
  const declared = several ? functions.find(({ name }) => name === functionName) : functions[0];
  if (declared !== undefined) return declared.config;
  const names = functions.map(({ name }) => name).join(', ');
  throw new KilnError('bad_request', `${KILN_JSON} declares no function "${functionName}"; there are: ${names}`);
}

/** Merges the configuration of the handler with that of `kiln.json`, which wins. @throws KilnError `bad_request` that names each wrong field */
export function mergeConfig(declared: FunctionConfigInput, own: unknown, kind: ImageKind, handler = 'default'): FunctionConfigInput {
  if (own !== undefined && own !== null) resolveConfig(own, kind, `exports.${handler}.config`);
  const merged = { ...(own as FunctionConfigInput | null | undefined), ...declared };
  resolveConfig(merged, kind);
  return merged;
}

/** @throws KilnError `bad_request` that names `handler` and the exports */
export function chooseHandler(exports: readonly ExportDescription[], handler: string | undefined, functionName: string): ExportDescription {
  const chosen = chooseExport(exports, { handler, functionName });
  if (chosen !== undefined) return chosen;
  const names = exports.map(({ name }) => name).join(', ');
  const detail =
    handler === undefined
      ? `which of the exports is the function? There are: ${names}`
      : `no function "${handler}" is exported; there are: ${names}`;
  throw new KilnError('bad_request', `handler: ${detail}`, {
    fix: `set "handler" in ${KILN_JSON}`,
    fields: [{ field: 'handler', message: detail }],
  });
}
