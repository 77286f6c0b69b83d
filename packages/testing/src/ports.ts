import { randomInt } from 'node:crypto';
import net from 'node:net';

// Below the range from which the kernel takes ports for outgoing connections: a port that is free now stays so.
const LOWEST = 20_000;
const HIGHEST = 31_000;

/** Distinct ports on which nobody listens. */
export async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>();
  while (found.size < count) {
    const candidate = randomInt(LOWEST, HIGHEST);
    if (!found.has(candidate) && (await isFree(candidate))) found.add(candidate);
  }
  return [...found];
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '0.0.0.0', () => server.close(() => resolve(true)));
  });
}
