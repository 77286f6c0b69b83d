import { availableParallelism } from 'node:os';

/** Bounds of one build. */
export interface BuildLimits {
  /** ms for everything from the first byte of the archive to the image. */
  time: number;
  /** MB that each step of the Dockerfile may use. */
  memory: number;
  /** Cores that each step may use. */
  cpus: number;
  /** Processes and threads that a step may have. */
  processes: number;
  /** Bytes that the steps may write, all together. */
  disk: number;
  /** Bytes that the archive may hold, and that may be sent for it. */
  unpackedBytes: number;
  files: number;
  /** ms that a module may take to load when its exports are read. */
  describeTime: number;
}

export const DEFAULT_LIMITS: Readonly<BuildLimits> = {
  time: 600_000,
  memory: 2048,
  // The other half stays for the functions that run here.
  cpus: Math.max(1, availableParallelism() / 2),
  processes: 1024,
  disk: 8 * 1024 ** 3,
  unpackedBytes: 1024 ** 3,
  files: 50_000,
  describeTime: 30_000,
};
