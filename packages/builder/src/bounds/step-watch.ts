import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { KilnError } from '@kiln/contract/errors';
import { discardContainer } from '@kiln/engine/remove';
import type Dockerode from 'dockerode';
import type { IntermediateImages } from '../engine/intermediate-images.js';
import type { BuildLimits } from './limits.js';

const EVERY_MS = 500;
/** The pause is at least so many times as long as the measurement, which takes long where a step has many files. */
const PAUSE_FACTOR = 5;
const MB = 1024 * 1024;
const REMOVE_MS = 15_000;

export interface WatchedBuild {
  docker: Dockerode;
  /** Control group of the steps' containers, and of no others. */
  cgroupParent: string;
  limits: Pick<BuildLimits, 'disk' | 'processes'>;
  images: IntermediateImages;
}

/**
 * Bounds what the engine's builder does not bound: the bytes that the steps write, and their processes. The engine makes the steps'
 * containers, so they have no labels of ours; the watch finds them by their control group, which no process inside can change.
 */
export class StepWatch {
  readonly #foreign = new Set<string>();
  /** Ids of all containers that the watch has seen. */
  readonly containers = new Set<string>();

  constructor(private readonly watched: WatchedBuild) {}

  /** Runs until the signal aborts. @throws KilnError `bad_request` that names the limit which was passed */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const since = performance.now();
      await this.#check(signal);
      const pause = Math.max(EVERY_MS, (performance.now() - since) * PAUSE_FACTOR);
      await delay(pause, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Waits until the builder has removed the steps' containers, and removes those that it left. */
  async end(): Promise<void> {
    for (const until = performance.now() + REMOVE_MS; performance.now() < until; await delay(EVERY_MS / 5)) {
      if ((await this.#steps(true)).length === 0) return;
    }
    for (const id of await this.#steps(true)) await discardContainer(this.watched.docker.getContainer(id));
  }

  async #check(signal: AbortSignal): Promise<void> {
    const { limits, images } = this.watched;
    let written = await images.bytes();
    for (const id of await this.#steps(false)) {
      const { bytes, processes } = await this.#measure(id).catch(asEnded);
      written += bytes;
      if (processes >= limits.processes && !signal.aborted) {
        throw new KilnError('bad_request', `a step of the build ran ${processes} processes; at most ${limits.processes} are allowed`);
      }
    }
    if (written > limits.disk && !signal.aborted) {
      throw new KilnError('bad_request', `the steps of the build wrote more than ${Math.round(limits.disk / MB)} MB`, {
        fix: 'build less into the image, or give the node a larger KILN_BUILD_DISK',
      });
    }
  }

  /** Ids of the containers that run this build's steps now. */
  async #steps(all: boolean): Promise<string[]> {
    const { docker, cgroupParent } = this.watched;
    const found: string[] = [];
    for (const { Id } of await docker.listContainers({ all })) {
      if (this.#foreign.has(Id)) continue;
      const isOurs = this.containers.has(Id) || (await this.#parentOf(Id)) === cgroupParent;
      (isOurs ? this.containers : this.#foreign).add(Id);
      if (isOurs) found.push(Id);
    }
    return found;
  }

  async #parentOf(id: string): Promise<string | undefined> {
    const container = this.watched.docker.getContainer(id);
    return (await container.inspect().catch(() => undefined))?.HostConfig.CgroupParent;
  }

  async #measure(id: string): Promise<{ bytes: number; processes: number }> {
    const container = this.watched.docker.getContainer(id);
    const [info, stats] = await Promise.all([
      container.inspect({ size: true } as object) as Promise<Dockerode.ContainerInspectInfo & { SizeRw?: number }>,
      container.stats({ stream: false, 'one-shot': true }) as Promise<{ pids_stats?: { current?: number } }>,
    ]);
    let bytes = info.SizeRw ?? 0;
    for (const { Type, Source } of info.Mounts) if (Type === 'volume') bytes += await this.#volumeBytes(Source);
    return { bytes, processes: stats.pids_stats?.current ?? 0 };
  }

  /** A VOLUME above a RUN: no layer holds what is written there, but the machine's disk does. */
  async #volumeBytes(folder: string): Promise<number> {
    const bytes = await folderBytes(folder, this.watched.limits.disk);
    if (bytes !== undefined) return bytes;
    throw new KilnError('bad_request', 'a step runs with a VOLUME, and what it writes there can’t be measured on this node', {
      fix: 'put VOLUME behind the last RUN',
    });
  }
}

/** Bytes of all files below a folder; stops counting above `enough`. Undefined where the folder can't be read. */
export async function folderBytes(folder: string, enough: number): Promise<number | undefined> {
  let bytes = 0;
  const folders = [folder];
  for (let next = folders.pop(); next !== undefined && bytes <= enough; next = folders.pop()) {
    const entries = await readdir(next, { withFileTypes: true }).catch(() => undefined);
    if (entries === undefined && next === folder) return undefined;
    for (const entry of entries ?? []) {
      const path = join(next, entry.name);
      if (entry.isDirectory()) folders.push(path);
      else bytes += ((await lstat(path).catch(() => undefined))?.blocks ?? 0) * 512;
    }
  }
  return bytes;
}

/** A step that has ended in the meantime uses nothing. */
function asEnded(error: unknown): { bytes: number; processes: number } {
  if (error instanceof KilnError) throw error;
  return { bytes: 0, processes: 0 };
}
