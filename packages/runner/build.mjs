// One file with everything inside, as it lies in every function image at /opt/kiln/runner.mjs.
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

const here = import.meta.dirname;
const target = join(here, 'dist/runner.mjs');

const { outputFiles } = await build({
  absWorkingDir: here,
  entryPoints: ['src/main.ts'],
  alias: { '@kiln/contract': join(here, '../contract/src') },
  bundle: true,
  minify: true,
  keepNames: true,
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
const [{ contents }] = outputFiles;
writeFileSync(`${target}.${process.pid}`, contents, { mode: 0o755 });
renameSync(`${target}.${process.pid}`, target);
