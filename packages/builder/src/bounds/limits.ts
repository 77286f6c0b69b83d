import { availableParallelism } from 'node:os';

/** Bounds of one build. */
export interface BuildLimits {
  /** ms from the first byte of the archive to the image. */
  time: number;
  /** MB of memory for each step of the Dockerfile. */
  memory: number;
  /** Cores for each step. */
  cpus: number;
  /** Processes and threads of a step. */
  processes: number;
  /** Bytes that all steps together may write. */
  disk: number;
  /** Bytes of the archive, both sent and unpacked. */
  unpackedBytes: number;
  files: number;
  /** ms for the load of a module when the builder reads its exports. */
  describeTime: number;
}

export const DEFAULT_LIMITS: Readonly<BuildLimits> = {
  time: 600_000,
  memory: 2048,
  // The other half is for the functions on this machine.
  cpus: Math.max(1, availableParallelism() / 2),
  processes: 1024,
  disk: 8 * 1024 ** 3,
  unpackedBytes: 1024 ** 3,
  files: 50_000,
  describeTime: 30_000,
};
