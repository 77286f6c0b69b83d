// `npm run unit` and the like: a program of the workspace on the Node that this brings, whatever Node the machine came with.
import { announce, installDependencies, main, run } from './setup.mjs';
import { ensureTools } from './tools.mjs';

const [program, ...args] = process.argv.slice(2);

await main(async () => {
  ensureTools(announce);
  installDependencies();
  run(program, args);
});
