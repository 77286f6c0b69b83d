// One file with everything inside, as it lies in every function image at /opt/kiln/runner.mjs.
import { chmodSync } from 'node:fs';
import { build } from 'esbuild';

const outfile = 'dist/runner.mjs';

await build({
  entryPoints: ['src/main.ts'],
  outfile,
  bundle: true,
  minify: true,
  keepNames: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  legalComments: 'none',
  // Express is CommonJS and requires Node's own modules; an ES module has no `require` of its own.
  banner: {
    js: "#!/usr/bin/env node\nimport { createRequire as __require } from 'node:module'; const require = __require(import.meta.url);",
  },
});
chmodSync(outfile, 0o755);
