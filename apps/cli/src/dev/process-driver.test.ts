import type { ContainerRequest } from '@kiln/instances/port/container-driver';
import { type Behaviour, describeDriver } from '@kiln/instances/port/driver-conformance.fixture';
import { ProcessDriver, type ProcessSpec } from './process-driver.js';

const SCRIPTS: Record<string, string> = {
  serves: "require('http').createServer((q, r) => r.end('real')).listen(process.env.PORT)",
  exits: "console.log('bye'); process.exit(3)",
  silent: 'setInterval(() => {}, 1000)',
  stubborn: "process.on('SIGTERM', () => console.log('told')); setInterval(() => {}, 1000); console.log('deaf')",
} satisfies Record<Exclude<Behaviour, 'missing'>, string>;

function processOf({ version }: ContainerRequest): ProcessSpec {
  const script = SCRIPTS[version.image];
  const command = script === undefined ? '/nothing/is/here' : process.execPath;
  return { command, args: ['-e', script ?? ''], cwd: '/', env: { PORT: String(version.config.port) } };
}

describeDriver('process', async () => {
  const driver = new ProcessDriver(processOf);
  return { driver, image: (behaviour) => behaviour, existing: async () => driver.size, close: () => driver.gone() };
});
