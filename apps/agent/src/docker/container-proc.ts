import { readdirSync, readFileSync } from 'node:fs';
import type { Activity, Listener } from '@kiln/instances/port/container-driver';

// What the kernel tells of a container's processes. Nothing where this process does not see them, as in a container.

const LISTENING = '0A';
/** The engine's own name server listens here, inside of the container. */
const ENGINE_DNS = '0B00007F';
const LOOPBACK_V6 = '00000000000000000000000001000000';
const MAPPED_V4 = '0000000000000000FFFF0000';
const MS_PER_TICK = 10;

/** Whether the init process of the container has no child any more. */
export function hasLostItsProgram(pid: number, id: string): boolean {
  return ifSeen(pid, id, () => childrenOf(pid, pid).length === 0) ?? false;
}

/** Where the processes of the container listen, and how much they have worked. @param pid of its init process */
export function readActivity(pid: number, id: string): Activity | undefined {
  return ifSeen(pid, id, () => ({
    listeners: ['tcp', 'tcp6'].flatMap((table) => listenersOf(tableOf(pid, table))),
    cpuMs: ticksOf(pid) * MS_PER_TICK,
  }));
}

/** @param table as `/proc/<pid>/net/tcp`, with addresses in the byte order of the machine */
export function listenersOf(table: string): Listener[] {
  return table.split('\n').flatMap((line) => {
    const [, local = '', , state] = line.trim().split(/\s+/);
    const [address = '', port = ''] = local.split(':');
    if (state !== LISTENING || address === ENGINE_DNS) return [];
    return [{ port: Number.parseInt(port, 16), isLoopback: isLoopback(address) }];
  });
}

function isLoopback(address: string): boolean {
  const v4 = address.startsWith(MAPPED_V4) ? address.slice(MAPPED_V4.length) : address;
  return address === LOOPBACK_V6 || (v4.length === 8 && v4.endsWith('7F'));
}

function ifSeen<T>(pid: number, id: string, read: () => T): T | undefined {
  try {
    return readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(id) ? read() : undefined;
  } catch {
    return undefined;
  }
}

/** A kernel without IPv6 has no table of it. */
function tableOf(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/net/${name}`, 'utf8');
  } catch {
    return '';
  }
}

/** Of one thread of it: any of them may have started a process. */
function childrenOf(pid: number, thread: number | string): number[] {
  const list = readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').trim();
  return list === '' ? [] : list.split(' ').map(Number);
}

/** Of the process, of those that it has waited for, and of those below it. */
function ticksOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name of the program may hold spaces and brackets.
    const own = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .slice(11, 15);
    const children = readdirSync(`/proc/${pid}/task`).flatMap((thread) => childrenOf(pid, thread));
    return [...own.map(Number), ...children.map(ticksOf)].reduce((sum, ticks) => sum + ticks, 0);
  } catch {
    return 0;
  }
}
