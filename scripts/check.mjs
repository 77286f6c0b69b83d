// `pnpm check`: everything that needs no whole platform. The cheapest first; the first that fails ends it.
import { announce, main, run } from './setup.mjs';
import { pnpmPath } from './tools.mjs';

const STEPS = [
  ['format and lint', ['exec', 'biome', 'ci', '--error-on-warnings', '.']],
  ['types', ['exec', 'tsc', '-p', 'tsconfig.json']],
  ['architecture', ['exec', 'node', 'scripts/check-architecture.mjs']],
  ['dead code', ['exec', 'knip']],
  ['unit tests', ['run', 'unit']],
];

await main(async () => {
  for (const [name, args] of STEPS) {
    announce(`check: ${name}`);
    run(pnpmPath(), args);
  }
});
