import type { SourceFolder } from '../source/source-folder.js';
import { PACKAGE_JSON } from './manifest.js';

export const TYPESCRIPT_NAMES = ['index.ts', 'index.mts', 'index.cts', 'function.ts', 'src/index.ts'];
export const TYPESCRIPT = /\.[mc]?tsx?$/;
/** Links esbuild's native program: its Node wrapper would print a stack of its own below each error in the user's code. */
export const FETCH_ESBUILD =
  'RUN npm install --global --ignore-scripts --no-audit --no-fund --no-update-notifier --cache /tmp/esbuild esbuild@0.28.2 && rm -rf /tmp/esbuild && ' +
  'ln -sf "$(npm root --global)"/esbuild/node_modules/@esbuild/*/bin/esbuild /usr/local/bin/esbuild';

/** The path of the module's JavaScript: beside the source, so that paths relative to the module stay right. */
export async function bundled(folder: SourceFolder, source: string): Promise<string> {
  return source.replace(TYPESCRIPT, (await isEsModule(folder, source)) ? '.mjs' : '.cjs');
}

/**
 * Bundles the module and the files that it imports by path into one file, with a source map. Packages stay in node_modules.
 * The command is in JSON form, so that no shell reads the path of the module.
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
