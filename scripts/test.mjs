// `npm test`: the same set-up as `npm start`, then everything that CI runs.
import { runEngineTests } from './engine-tests.mjs';
import { announce, main, run, setUp } from './setup.mjs';
import { pnpmPath } from './tools.mjs';

await main(async () => {
  await setUp();
  announce('checking format, lint, types, unit tests, architecture and dead code');
  run(pnpmPath(), ['run', 'check']);
  announce('running the unit tests that need an engine');
  run(pnpmPath(), ['run', 'unit', '--project', 'engine']);
  announce('running the whole-platform tests');
  run(pnpmPath(), ['run', 'e2e']);
  announce('running the tests of what an engine does beside Docker 26.1, with its images in containerd');
  await runEngineTests();
});
