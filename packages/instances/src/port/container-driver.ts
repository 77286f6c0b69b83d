import type { VersionRecord } from '@kiln/contract/records/records';

/** The part of a version that its instances are made from. */
export type FunctionVersion = Pick<VersionRecord, 'function' | 'version' | 'image' | 'kind' | 'config' | 'secretRevisions'> &
  Partial<Pick<VersionRecord, 'state'>>;

export type OutputSource = 'stdout' | 'stderr';

/** What to make. */
export interface ContainerRequest {
  instance: string;
  version: FunctionVersion;
  /** Its secrets in clear, by name. They go into the container's environment and nowhere else. */
  secrets: Readonly<Record<string, string>>;
  /** Runner images: the host folder that holds the agent's socket, given to the container read-only. */
  socketFolder?: string;
  /** Gets everything the container writes, from its first byte on. */
  onOutput(source: OutputSource, chunk: Buffer): void;
}

export interface Exit {
  code: number;
  /** The kernel killed a process of it for lack of memory. */
  outOfMemory: boolean;
}

/** A TCP port on which something in a container accepts connections. */
export interface Listener {
  port: number;
  /** Only what runs in the container can reach it. */
  isLoopback: boolean;
}

/** What the processes of a container do. */
export interface Activity {
  listeners: Listener[];
  /** Processor time that they have used. */
  cpuMs: number;
}

/** One running container. */
export interface RunningContainer {
  readonly id: string;
  /** Where it is reached; undefined for kinds that dial in. Another container may have it as soon as this one is removed. */
  readonly address: string | undefined;
  /** Resolves as soon as its main process has ended. Never rejects. */
  readonly ended: Promise<void>;
  /** Resolves when its main process has ended, it is known why, and what it wrote was handed over. Never rejects. */
  readonly exited: Promise<Exit>;
  /** A process in it was killed for lack of memory a moment ago. */
  readonly lackedMemory: boolean;
  /** Undefined where it cannot be seen. Reads a few small files: for starts only. */
  activity?(): Promise<Activity | undefined>;
  /** After a connection to it broke: how it ended, waited for as long as there are signs of an end; undefined where it runs on. */
  exitNews(): Promise<Exit | undefined>;
  /**
   * SIGTERM, after `graceMs` SIGKILL; 0 kills at once. Tries until it is confirmed gone, and only then resolves. May be called again: the
   * grace that ends first counts.
   */
  remove(graceMs: number): Promise<void>;
}

/**
 * The way to containers. Guarantees of every implementation: each call ends within a bound; what `start` could not bring up
 * leaves nothing behind; a container found gone for whatever reason (crash, removed by hand) resolves `exited`.
 */
export interface ContainerDriver {
  /** Whether a start is possible, asked before anything is given up for it. @throws Refusal where it is not */
  admit(): void;
  /** @throws KilnError `start_failed` where the image or the engine refuses, `no_capacity` where the engine does not answer */
  start(request: ContainerRequest): Promise<RunningContainer>;
}
