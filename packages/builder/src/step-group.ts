import { mkdir, readdir, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type Dockerode from 'dockerode';

const CGROUPS = '/sys/fs/cgroup';
const REMOVE_MS = 10_000;
const PAUSE_MS = 50;

/** The control group in which the engine runs the steps of one build: what bounds them together, and what they are known by. */
export interface StepGroup {
  /** As the engine takes it. */
  parent: string;
  /** When no step runs any more. */
  close(): Promise<void>;
}

/** Names in use by this process; the engine leaves groups behind that it made itself, so they are used again. */
const inUse = new Set<string>();

/**
 * The engine's builder knows no limit of processes, and `ulimit` spares root; so the group around the steps has it. Where this
 * process can't write control groups (an agent in a container, an engine elsewhere) there is only the watch on the steps.
 */
export async function openStepGroup(docker: Dockerode, node: string, processes: number): Promise<StepGroup> {
  const name = freeName(node);
  inUse.add(name);
  const { CgroupDriver } = (await docker.info()) as { CgroupDriver?: string };
  const close = async () => {
    await removeGroup(name);
    inUse.delete(name);
  };
  if (CgroupDriver === 'systemd') return { parent: `${name.replaceAll('-', '_')}.slice`, close };
  await limitProcesses(name, processes);
  return { parent: `/${name}`, close };
}

function freeName(node: string): string {
  for (let i = 1; ; i += 1) if (!inUse.has(`kiln-build-${node}-${i}`)) return `kiln-build-${node}-${i}`;
}

async function limitProcesses(name: string, processes: number): Promise<void> {
  for (const hierarchy of [join(CGROUPS, 'pids'), CGROUPS]) {
    const group = join(hierarchy, name);
    try {
      // Not recursive: a hierarchy that is not there is not to be made.
      await mkdir(group).catch(ignoreExisting);
      await writeFile(join(group, 'pids.max'), String(processes));
      return;
    } catch {
      // Another version of control groups, or not ours to write.
      await rmdir(group).catch(() => undefined);
    }
  }
}

/** A step that was just killed may take a moment to leave. */
async function removeGroup(name: string): Promise<void> {
  const paths = [join(CGROUPS, name), ...(await hierarchies()).map((hierarchy) => join(CGROUPS, hierarchy, name))];
  for (const until = performance.now() + REMOVE_MS; performance.now() < until; await delay(PAUSE_MS)) {
    const left = await Promise.all(paths.map(isLeft));
    if (!left.includes(true)) return;
  }
}

async function hierarchies(): Promise<string[]> {
  return await readdir(CGROUPS).catch(() => []);
}

async function isLeft(path: string): Promise<boolean> {
  try {
    await rmdir(path);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EBUSY';
  }
  return false;
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error;
}
