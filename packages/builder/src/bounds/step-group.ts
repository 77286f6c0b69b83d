import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { hasSystemd } from '@kiln/engine/cgroup-driver';
import type Dockerode from 'dockerode';
import { systemd } from './systemd.js';

const REMOVE_MS = 10_000;
const PAUSE_MS = 50;
const CHECK_MS = 100;

/** The control group in which the engine runs the steps of one build. It bounds them together, and the watch finds them by it. */
export interface StepGroup {
  /** Its name, in the engine's form. */
  parent: string;
  /** Removes the group; to be called when no step runs any more. */
  close(): Promise<void>;
}

/** The machine on which the groups are. */
export interface GroupHost {
  cgroups: string;
  systemd: typeof systemd;
}

const THIS_MACHINE: GroupHost = { cgroups: '/sys/fs/cgroup', systemd };

/** Names in use by this process. The engine does not remove the groups that it makes, so later builds use them again. */
const inUse = new Set<string>();

/**
 * The engine's builder has no limit of processes, and `ulimit` does not bind root, so the group around the steps has the limit. Where
 * this process can't write control groups (an agent in a container, an engine on another machine) only the watch bounds the steps.
 */
export async function openStepGroup(docker: Dockerode, node: string, processes: number, host = THIS_MACHINE): Promise<StepGroup> {
  const name = freeName(node);
  inUse.add(name);
  try {
    const group = (await hasSystemd(docker)) ? await openSlice(host, name, processes) : await openFolder(host, name, processes);
    return { parent: group.parent, close: () => group.close().finally(() => inUse.delete(name)) };
  } catch (error) {
    inUse.delete(name);
    throw error;
  }
}

function freeName(node: string): string {
  for (let i = 1; ; i += 1) if (!inUse.has(`kiln-build-${node}-${i}`)) return `kiln-build-${node}-${i}`;
}

/** For cgroupfs: the engine uses a group that exists as it is. */
async function openFolder({ cgroups }: GroupHost, name: string, processes: number): Promise<StepGroup> {
  for (const hierarchy of [join(cgroups, 'pids'), cgroups]) {
    const group = join(hierarchy, name);
    // Not recursive: must not make a hierarchy that the machine does not have.
    if (!(await succeeds(mkdir(group).catch(ignoreExisting)))) continue;
    if (await limit(group, processes)) break;
    // cgroup v2 gives a controller to the groups below only where `subtree_control` names it.
    const hasController = await succeeds(writeFile(join(hierarchy, 'cgroup.subtree_control'), '+pids', { flag: 'r+' }));
    if (hasController && (await limit(group, processes))) break;
    await rmdir(group).catch(() => undefined);
  }
  return { parent: `/${name}`, close: () => removeGroup(cgroups, name) };
}

/**
 * For systemd: a dash in the name would make the slice a child of another one. The engine lets systemd make the slice with the first
 * step, and systemd writes the limits of its units, so systemd gets the limit; where it refuses, this process writes the limit itself.
 */
async function openSlice({ cgroups, systemd: { limitTasks, end } }: GroupHost, name: string, processes: number): Promise<StepGroup> {
  const slice = `${name.replaceAll('-', '_')}.slice`;
  await limitTasks(slice, processes);
  const ended = new AbortController();
  const kept = keepLimit([join(cgroups, 'pids', slice), join(cgroups, slice)], processes, ended.signal);
  const close = async () => {
    ended.abort();
    await kept;
    await end(slice);
    await removeGroup(cgroups, slice);
  };
  return { parent: slice, close };
}

async function keepLimit(groups: readonly string[], processes: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    for (const group of groups) {
      const now = await readFile(join(group, 'pids.max'), 'utf8').catch(() => undefined);
      if (now !== undefined && now.trim() !== String(processes)) await limit(group, processes);
    }
    await delay(CHECK_MS, undefined, { signal }).catch(() => undefined);
  }
}

/** False where the machine has the other cgroup version, or this process may not write the file. */
function limit(group: string, processes: number): Promise<boolean> {
  return succeeds(writeFile(join(group, 'pids.max'), String(processes)));
}

/** Waits for the processes of a killed step, which hold the group for a moment. */
async function removeGroup(cgroups: string, name: string): Promise<void> {
  const hierarchies = await readdir(cgroups).catch(() => []);
  const paths = [join(cgroups, name), ...hierarchies.map((hierarchy) => join(cgroups, hierarchy, name))];
  for (const until = performance.now() + REMOVE_MS; performance.now() < until; await delay(PAUSE_MS)) {
    const left = await Promise.all(paths.map(isLeft));
    if (!left.includes(true)) return;
  }
}

function isLeft(path: string): Promise<boolean> {
  return rmdir(path)
    .then(() => false)
    .catch((error: NodeJS.ErrnoException) => error.code === 'EBUSY');
}

function succeeds(action: Promise<unknown>): Promise<boolean> {
  return action.then(() => true).catch(() => false);
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error;
}
