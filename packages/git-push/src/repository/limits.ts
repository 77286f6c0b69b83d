const MIB = 1024 * 1024;

/** Bounds of a push. */
export const PUSH_LIMITS = {
  /** Bytes that one push may send, packed. */
  packBytes: 512 * MIB,
  /** Bytes of one file on main. */
  fileBytes: 128 * MIB,
  /** Files on main, whether or not they belong to a function. */
  files: 200_000,
  /** Files of one function, and their bytes. */
  functionFiles: 50_000,
  functionBytes: 1024 * MIB,
  functions: 100,
  /** Bytes of one project's repository before a push. */
  repositoryBytes: 4096 * MIB,
  repositories: 1000,
  /** Branches and tags of one push. */
  commands: 100,
  /** ms from the first byte of a push to its answer. */
  time: 3_600_000,
} as const;

/** Git processes that serve requests at a time in one router. */
export const MAX_SERVED = 16;
/** The same for clients with one key. */
export const MAX_SERVED_PER_KEY = 8;
/** ms for which a client may neither send its body nor read the response. */
export const IDLE_MS = 30_000;
/** Pushes to one project that may wait for the running one. */
export const MAX_WAITING = 4;
/** ms for a git command that only reads, or makes a repository. */
export const COMMAND_MS = 60_000;

export function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / MIB)} MiB`;
}
