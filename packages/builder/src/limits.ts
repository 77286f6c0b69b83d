/** Bounds of one build. */
export interface BuildLimits {
  /** ms for everything from the first byte of the archive to the image. */
  time: number;
  /** MB that each step of the Dockerfile may use. */
  memory: number;
  /** Bytes that the archive may hold, and that may be sent for it. */
  unpackedBytes: number;
  files: number;
  /** ms that a module may take to load when its exports are read. */
  describeTime: number;
}

export const DEFAULT_LIMITS: Readonly<BuildLimits> = {
  time: 600_000,
  memory: 2048,
  unpackedBytes: 1024 ** 3,
  files: 50_000,
  describeTime: 30_000,
};
