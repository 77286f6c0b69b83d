import { randomInt } from 'node:crypto';
import net from 'node:net';

// Below the range from which the kernel takes ports for outgoing connections: a port that is free now stays so.
const LOWEST = 20_000;
const PORTS_OF_A_WORKER = 1_300;
const WORKERS = 8;

// A port looks free while its program starts, or is down between two starts. So no two workers of a run choose from the same ports,
// and a worker gives none twice.
const worker = (Number(process.env['VITEST_POOL_ID'] ?? 1) - 1) % WORKERS;
const first = LOWEST + worker * PORTS_OF_A_WORKER;
const given = new Set<number>();

/** Distinct ports on which nobody listens. @throws Error when a worker has used all of its ports */
export async function freePorts(count: number): Promise<number[]> {
  const found: number[] = [];
  while (found.length < count) {
    if (given.size === PORTS_OF_A_WORKER) throw new Error(`no port is left of ${first} to ${first + PORTS_OF_A_WORKER - 1}`);
    const candidate = randomInt(first, first + PORTS_OF_A_WORKER);
    if (given.has(candidate)) continue;
    given.add(candidate);
    if (await isFree(candidate)) found.push(candidate);
  }
  return found;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '0.0.0.0', () => server.close(() => resolve(true)));
  });
}
