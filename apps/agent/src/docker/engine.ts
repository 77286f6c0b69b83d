import { setTimeout as delay } from 'node:timers/promises';
import { statusOf } from '@kiln/engine/engine-error';
import { Gate } from '@kiln/instances/room/gate';
import type Dockerode from 'dockerode';
import { NODE_LABEL, ROLE_LABEL } from './container-options.js';
import { within } from './deadline.js';

const INFO_MS = 10_000;
const LIST_MS = 10_000;
const REMOVE_MS = 20_000;
const RETRY_MS = 500;
const LONGEST_RETRY_MS = 10_000;
const IN_PROGRESS_MS = 100;
const SWEEP_MS = 30_000;
const REMOVALS = 8;

export interface EngineInfo {
  cgroupDriver: string;
  cgroupVersion: string;
}

export interface EngineFacts extends EngineInfo {
  /** Missing features of this engine, a sentence each. */
  warnings: string[];
  /** The engine's data folder, on its own machine. */
  root: string | undefined;
}

/** @throws where the engine does not answer */
export async function readEngine(docker: Dockerode): Promise<EngineFacts> {
  const info = await within('describe itself', INFO_MS, () => docker.info());
  const warnings: string[] = [];
  if (info.MemoryLimit === false) warnings.push('the engine cannot limit memory: instances may use all of the machine’s');
  if (info.PidsLimit === false) warnings.push('the engine cannot limit processes: an instance may exhaust the machine’s');
  if (info.CpuCfsQuota === false) warnings.push('the engine cannot limit cpu');
  const security = (info.SecurityOptions as string[] | undefined) ?? [];
  if (!security.some((option) => option.includes('name=seccomp'))) warnings.push('the engine filters no system calls (seccomp)');
  return {
    cgroupDriver: String(info.CgroupDriver ?? 'cgroupfs'),
    cgroupVersion: String(info.CgroupVersion ?? '1'),
    warnings,
    root: info.DockerRootDir,
  };
}

/** Whether the engine answers a simple request. Never rejects. */
export function answers(docker: Dockerode, boundMs: number): Promise<boolean> {
  return within('answer', boundMs, (abortSignal) => docker.listContainers({ limit: 1, abortSignal })).then(
    () => true,
    () => false,
  );
}

/** Containers with this node's label, in any state, that nobody owns; of one role, or of any. */
export async function strayContainers(docker: Dockerode, node: string, isOwned: (id: string) => boolean, role?: string): Promise<string[]> {
  const filters = { label: [`${NODE_LABEL}=${node}`, ...(role === undefined ? [] : [`${ROLE_LABEL}=${role}`])] };
  const found = await within('list containers', LIST_MS, (abortSignal) => docker.listContainers({ all: true, filters, abortSignal }));
  return found.filter(({ Id, Labels }) => Labels[NODE_LABEL] === node && !isOwned(Id)).map(({ Id }) => Id);
}

/** Kills and removes these containers. @throws where one is left after half a minute */
export async function removeContainers(docker: Dockerode, ids: readonly string[]): Promise<void> {
  const gate = new Gate(REMOVALS);
  const deadline = performance.now() + SWEEP_MS;
  await Promise.all(
    ids.map(async (id) => {
      const leave = await gate.enter();
      await removeUntilGone(docker.getContainer(id), () => undefined, deadline).finally(leave);
    }),
  );
}

/** Kills and removes a container, and tries again until the engine has none. @throws where `deadline` passes first */
export async function removeUntilGone(
  container: Dockerode.Container,
  onTrouble: (message: string, keys?: object) => void,
  deadline = Number.POSITIVE_INFINITY,
): Promise<void> {
  for (let pause = RETRY_MS; ; pause = Math.min(LONGEST_RETRY_MS, pause * 2)) {
    try {
      await within('remove a container', REMOVE_MS, (abortSignal) => container.remove({ force: true, v: true, abortSignal }));
      return;
    } catch (error) {
      if (statusOf(error) === 404) return;
      if (performance.now() > deadline) throw error;
      // Another request removes it already: wait for that one.
      const inProgress = statusOf(error) === 409;
      if (!inProgress) onTrouble('container removal failed, trying again', { container: container.id, error: (error as Error).message });
      await delay(inProgress ? IN_PROGRESS_MS : pause);
    }
  }
}
