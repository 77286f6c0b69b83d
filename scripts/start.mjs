// `npm start`: from a fresh clone to a running Kiln with three nodes and the examples deployed.
import { join } from 'node:path';
import { kiln } from './kiln.mjs';
import { main, setUp } from './setup.mjs';
import { ROOT } from './tools.mjs';

await main(async () => {
  await setUp();
  kiln(['up', '--nodes', '3', '--deploy', join(ROOT, 'examples'), ...process.argv.slice(2)]);
});
