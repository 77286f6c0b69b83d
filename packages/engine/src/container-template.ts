import type Dockerode from 'dockerode';
import { memorySwap } from './memory-swap.js';

export const CPU_PERIOD_US = 100_000;
/** Half the usual share: where processor time is scarce, functions get it first. */
export const CPU_SHARES = 512;

export interface ContainerBounds {
  /** MB */
  memory: number;
  cpus: number;
  processes: number;
}

/** What every container of a user's module gets, beside network and mounts. A step of a build has less: it may write, and be root. */
export const HARDENED = {
  AutoRemove: false,
  RestartPolicy: { Name: 'no' },
  CapDrop: ['ALL'],
  SecurityOpt: ['no-new-privileges:true'],
  ReadonlyRootfs: true,
  IpcMode: 'private',
  Init: true,
  OomScoreAdj: 500,
} satisfies Dockerode.HostConfig;

/** Who a user's module runs as. */
export const FUNCTION_USER = '65532:65532';

/** Bounds of a container that a build makes. */
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
