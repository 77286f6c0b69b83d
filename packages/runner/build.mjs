// One file with everything inside, as it lies in every function image at /opt/kiln/runner.mjs. Its size and what it does while
// it loads are part of every cold start.
//
//   node build.mjs [TARGET]
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = import.meta.dirname;
const target = resolve(process.argv[2] ?? join(here, 'dist/runner.mjs'));

/** Tables as text that is read when they are needed, instead of code that is read whenever the bundle is. */
const jsonAsText = {
  name: 'json-as-text',
  setup({ onLoad }) {
    onLoad({ filter: /\.json$/ }, ({ path }) => ({
      contents: `module.exports = JSON.parse(${JSON.stringify(JSON.stringify(JSON.parse(readFileSync(path, 'utf8'))))})`,
    }));
  },
};

const { outputFiles } = await build({
  absWorkingDir: here,
  entryPoints: ['src/main.ts'],
  alias: { '@kiln/contract': join(here, '../contract/src'), 'iconv-lite': fileURLToPath(import.meta.resolve('./text-encodings.mjs')) },
  plugins: [jsonAsText],
  bundle: true,
  minify: true,
  platform: 'node',
  target: 'node24',
  // Node's own modules are required, not imported: an `import` of node:http touches each of its exports, one of which
  // loads all of undici, 40 ms of every cold start.
  format: 'iife',
  banner: { js: "#!/usr/bin/env node\nimport { createRequire } from 'node:module';\nconst require = createRequire(import.meta.url);" },
  legalComments: 'none',
  write: false,
  outfile: target,
});

// Whoever reads it meanwhile gets the whole old one or the whole new one.
mkdirSync(dirname(target), { recursive: true });
writeFileSync(`${target}.${process.pid}`, outputFiles[0].contents, { mode: 0o755 });
renameSync(`${target}.${process.pid}`, target);
