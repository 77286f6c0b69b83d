import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { expect, it, onTestFinished } from 'vitest';
import { listenersOf, readActivity } from './container-proc.js';

const HEAD = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
const line = (address: string, state = '0A') =>
  `   0: ${address} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000 65532 0 1 1\n`;

it('what listens is told apart from connections, from the engine’s name server, and by who can reach it', () => {
  const v4 = HEAD + line('00000000:0BB8') + line('0100007F:1F90') + line('0200000A:0050', '01') + line('0B00007F:9C41');
  expect(listenersOf(v4)).toEqual([
    { port: 3000, isLoopback: false },
    { port: 8080, isLoopback: true },
  ]);
  const any = '00000000000000000000000000000000:0BB8';
  const mapped = '0000000000000000FFFF00000100007F:1F90';
  expect(listenersOf(HEAD + line(any) + line('00000000000000000000000001000000:0050') + line(mapped))).toEqual([
    { port: 3000, isLoopback: false },
    { port: 80, isLoopback: true },
    { port: 8080, isLoopback: true },
  ]);
});

it('the work of a process counts with that of its children; of a process of another group nothing is told', async () => {
  const child = spawn(process.execPath, [
    '-e',
    'const until = Date.now() + 300; while (Date.now() < until); console.log("on"); setInterval(() => {}, 1000)',
  ]);
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  const group = readFileSync(`/proc/${process.pid}/cgroup`, 'utf8').trim();
  expect(readActivity(process.pid, group)!.cpuMs).toBeGreaterThan(readActivity(child.pid!, group)!.cpuMs);
  expect(readActivity(child.pid!, group)!.cpuMs).toBeGreaterThan(50);
  expect(readActivity(child.pid!, 'another')).toBeUndefined();
});
