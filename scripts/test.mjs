// `npm test`: the same set-up as `npm start`, then everything that CI runs.
import { announce, main, run, setUp } from './setup.mjs';
import { pnpmPath } from './tools.mjs';

await main(async () => {
  await setUp();
  announce('checking format, lint, types, unit tests, architecture and dead code');
  run(pnpmPath(), ['run', 'check']);
  announce('running the whole-platform tests');
  run(pnpmPath(), ['run', 'e2e']);
});
