import type { SourceFolder } from '../source/source-folder.js';
import { PACKAGE_JSON } from './manifest.js';

export const TYPESCRIPT_NAMES = ['index.ts', 'index.mts', 'index.cts', 'function.ts', 'src/index.ts'];
export const TYPESCRIPT = /\.[mc]?tsx?$/;
/**
 * Its program itself, as its install script would put it: started by way of Node's wrapper, the stack of the wrapper would stand below
 * each error in somebody's code.
 */
export const FETCH_ESBUILD =
  'RUN npm install --global --ignore-scripts --no-audit --no-fund --no-update-notifier --cache /tmp/esbuild esbuild@0.28.2 && rm -rf /tmp/esbuild && ' +
  'ln -sf "$(npm root --global)"/esbuild/node_modules/@esbuild/*/bin/esbuild /usr/local/bin/esbuild';

/** Where the module's JavaScript goes: beside it, so that paths it makes from its own place stay right. */
export async function bundled(folder: SourceFolder, source: string): Promise<string> {
  return source.replace(TYPESCRIPT, (await isEsModule(folder, source)) ? '.mjs' : '.cjs');
}

/**
 * One file of the module and all it imports by path, with a map back to the sources; packages stay what the install made of them.
 * The module is named in JSON form: no shell reads its path.
 */
export function bundleStep(source: string, target: string): string {
  const format = target.endsWith('.mjs') ? 'esm' : 'cjs';
  const command = [
    'esbuild',
    `./${source}`,
    '--bundle',
    '--platform=node',
    '--target=node24',
    `--format=${format}`,
    '--packages=external',
    '--sourcemap=linked',
    '--log-level=warning',
    `--outfile=./${target}`,
  ];
  return `RUN ${JSON.stringify(command)}`;
}

async function isEsModule(folder: SourceFolder, source: string): Promise<boolean> {
  if (/\.m[^.]*$/.test(source)) return true;
  if (/\.c[^.]*$/.test(source) || !folder.has(PACKAGE_JSON)) return false;
  const content = await folder.readJson(PACKAGE_JSON);
  return typeof content === 'object' && content !== null && 'type' in content && content.type === 'module';
}
