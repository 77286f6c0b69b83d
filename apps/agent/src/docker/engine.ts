import Dockerode from 'dockerode';
import { NODE_LABEL, ROLE_LABEL } from './container-options.js';
import { statusOf, within } from './deadline.js';
import type { EngineInfo } from './docker-driver.js';

const INFO_MS = 10_000;
const LIST_MS = 10_000;
const REMOVE_MS = 20_000;
const SWEEP_ATTEMPTS = 5;

/** A client of the engine at `unix:///…`, `tcp://…` or `http://…`. */
export function connectEngine(dockerHost: string): Dockerode {
  if (dockerHost.startsWith('unix://')) return new Dockerode({ socketPath: dockerHost.slice('unix://'.length) });
  const { hostname, port } = new URL(dockerHost.replace(/^tcp:/, 'http:'));
  return new Dockerode({ host: hostname, port: Number(port || 2375), protocol: 'http' });
}

export interface EngineFacts extends EngineInfo {
  /** What is not as it should be on this engine, a sentence each. */
  warnings: string[];
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
  return { cgroupDriver: String(info.CgroupDriver ?? 'cgroupfs'), cgroupVersion: String(info.CgroupVersion ?? '1'), warnings };
}

/** Containers that carry this node's label, whatever their state, but for those that are known; of one role, or of any. */
export async function strayContainers(docker: Dockerode, node: string, known: (id: string) => boolean, role?: string): Promise<string[]> {
  const filters = { label: [`${NODE_LABEL}=${node}`, ...(role === undefined ? [] : [`${ROLE_LABEL}=${role}`])] };
  const found = await within('list containers', LIST_MS, (abortSignal) => docker.listContainers({ all: true, filters, abortSignal }));
  return found.filter(({ Id, Labels }) => Labels[NODE_LABEL] === node && !known(Id)).map(({ Id }) => Id);
}

/** Kills and removes containers, each named. @throws where one can't be removed */
export async function removeContainers(docker: Dockerode, ids: readonly string[]): Promise<void> {
  const results = await Promise.allSettled(ids.map((id) => removeContainer(docker, id)));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

async function removeContainer(docker: Dockerode, id: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await within('remove a container', REMOVE_MS, (abortSignal) => docker.getContainer(id).remove({ force: true, v: true, abortSignal }));
      return;
    } catch (error) {
      if (statusOf(error) === 404) return;
      if (attempt === SWEEP_ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200 * attempt));
    }
  }
}
