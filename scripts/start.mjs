// `npm start`: from a fresh clone to a running Kiln with three nodes and the examples deployed.
import { join } from 'node:path';
import { kiln } from './kiln.mjs';
import { offerLauncher } from './launcher.mjs';
import { announce, main, setUp } from './setup.mjs';
import { ROOT } from './tools.mjs';

const NO_LAUNCHER = '--no-launcher';

await main(async () => {
  await setUp();
  const args = process.argv.slice(2);
  offerLauncher(announce, { refused: args.includes(NO_LAUNCHER) || process.env.KILN_LAUNCHER === 'off' });
  kiln(['up', '--nodes', '3', '--deploy', join(ROOT, 'examples'), ...args.filter((arg) => arg !== NO_LAUNCHER)]);
});
