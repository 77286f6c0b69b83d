import { memorySwap } from '@kiln/engine/memory-swap';
import type Dockerode from 'dockerode';

export const CPU_PERIOD_US = 100_000;
/** Functions go first where the machine is short of time. */
export const CPU_SHARES = 512;

export interface ContainerBounds {
  /** MB */
  memory: number;
  cpus: number;
  processes: number;
}

/** What bounds every container that this package makes itself; what it may reach is said where it is made. */
export function boundedHost({ memory, cpus, processes }: ContainerBounds, isSystemd: boolean): Dockerode.HostConfig {
  const bytes = memory * 1024 * 1024;
  return {
    Init: true,
    Memory: bytes,
    MemorySwap: memorySwap(bytes, isSystemd),
    CpuPeriod: CPU_PERIOD_US,
    CpuQuota: Math.round(cpus * CPU_PERIOD_US),
    CpuShares: CPU_SHARES,
    PidsLimit: processes,
    OomScoreAdj: 500,
    Ulimits: [{ Name: 'core', Soft: 0, Hard: 0 }],
  };
}
