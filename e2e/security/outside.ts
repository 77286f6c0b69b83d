import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { until } from '@kiln/testing/until';
import { canConnect } from '../support/reachable.js';

/** Addresses of a machine that is not this one: a public one, a private one, and those of a cloud's metadata services. */
export const OUTSIDE = {
  public: '203.0.113.2',
  private: '10.213.77.2',
  node: '10.213.77.3',
  metadata: '169.254.169.254',
  credentials: '169.254.170.2',
};

const HOST_SIDE = '203.0.113.1';
const SERVER = `require('node:net').createServer((socket) => { socket.on('error', () => {}); socket.end('outside'); }).listen(PORT, '0.0.0.0')`;

/** Another machine, as far as the network goes: a namespace of its own behind a pair of virtual devices. Needs root. */
export async function startOutside(port: number): Promise<{ stop(): void }> {
  const id = randomBytes(3).toString('hex');
  const [namespace, here, there] = [`kiln-${id}`, `ko${id}`, `ki${id}`];
  const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const stop = () => {
    server?.kill('SIGKILL');
    for (const args of [
      ['link', 'del', here],
      ['netns', 'del', namespace],
    ]) {
      try {
        ip(...args);
      } catch {
        // It was never made.
      }
    }
  };
  let server: ReturnType<typeof spawn> | undefined;
  try {
    ip('netns', 'add', namespace);
    ip('link', 'add', here, 'type', 'veth', 'peer', 'name', there, 'netns', namespace);
    ip('addr', 'add', `${HOST_SIDE}/32`, 'dev', here);
    ip('link', 'set', here, 'up');
    for (const device of ['lo', there]) ip('-n', namespace, 'link', 'set', device, 'up');
    for (const address of Object.values(OUTSIDE)) {
      ip('-n', namespace, 'addr', 'add', `${address}/32`, 'dev', there);
      ip('route', 'add', `${address}/32`, 'dev', here);
    }
    ip('-n', namespace, 'route', 'add', `${HOST_SIDE}/32`, 'dev', there);
    ip('-n', namespace, 'route', 'add', 'default', 'via', HOST_SIDE, 'dev', there);
    server = spawn('ip', ['netns', 'exec', namespace, process.execPath, '-e', SERVER.replace('PORT', String(port))], { stdio: 'ignore' });
    for (const address of Object.values(OUTSIDE)) {
      await until(`this machine reaches ${address}`, async () => (await canConnect(address, port)) === 'open', 10_000);
    }
  } catch (error) {
    stop();
    throw error;
  }
  return { stop };
}
