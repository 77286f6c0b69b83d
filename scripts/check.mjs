// `npm run check`: everything that needs no engine. The cheapest first; the first that fails ends it.
import { announce, installDependencies, main, run } from './setup.mjs';
import { ensureTools, pnpmPath } from './tools.mjs';

const STEPS = [
  ['format and lint', ['exec', 'biome', 'ci', '--error-on-warnings', '.']],
  ['types', ['exec', 'tsc', '-p', 'tsconfig.json']],
  ['architecture', ['exec', 'node', 'scripts/check-architecture.mjs']],
  ['dead code', ['exec', 'knip']],
  ['unit tests', ['run', 'unit', '--project', 'unit']],
];

await main(async () => {
  ensureTools(announce);
  installDependencies();
  for (const [name, args] of STEPS) {
    announce(`check: ${name}`);
    run(pnpmPath(), args);
  }
});
