import net from 'node:net';
import { Failure } from '../failure.js';

const HIGHEST = 65_535;
const TRIES = 500;

/** @throws Failure that names the port, and the variable to choose another */
export async function requireFree(host: string, port: number, variable: string): Promise<void> {
  if (await isFree(host, port)) return;
  const fix = `stop that program, or choose another port: ${variable}=${port < HIGHEST - 10 ? port + 10 : port - 10} kiln up`;
  throw new Failure(`port ${port} on ${host} is taken by another program (${variable}=${port})`, fix);
}

/** Finds `length` free ports in a row, from `from` upward in steps of `length`. Adds them to `taken` and returns the first. */
export async function findFree(host: string, from: number, row: { length: number; taken: Set<number> }): Promise<number> {
  for (let first = from; first < from + TRIES * row.length && first + row.length - 1 <= HIGHEST; first += row.length) {
    const ports = Array.from({ length: row.length }, (_, i) => first + i);
    if (ports.some((port) => row.taken.has(port))) continue;
    const free = await Promise.all(ports.map((port) => isFree(host, port)));
    if (!free.every(Boolean)) continue;
    for (const port of ports) row.taken.add(port);
    return first;
  }
  throw new Failure(`found no free port on ${host} from ${from} upward`, 'choose a first port: KILN_AGENT_PORT=<port> kiln up');
}

/** @throws Failure when the address is not one of this machine, or the port needs more rights */
export function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(false);
      else if (error.code === 'EACCES') reject(new Failure(`this user may not listen on port ${port}`, 'choose a port above 1023'));
      else reject(new Failure(`cannot listen on ${host}:${port}: ${error.message}`, 'set KILN_BIND to an address of this machine'));
    });
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}
