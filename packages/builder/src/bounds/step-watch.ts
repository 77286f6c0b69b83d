import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { KilnError } from '@kiln/contract/errors';
import type Dockerode from 'dockerode';
import type { MadeImages } from '../engine/made-images.js';
import type { BuildLimits } from './limits.js';

const LOOK_MS = 500;
/** Looking may take so much of the time, where a step has many files. */
const SHARE = 5;
const MB = 1024 * 1024;
const REMOVE_MS = 15_000;

export interface WatchedBuild {
  docker: Dockerode;
  /** Of the steps' containers, and of no others. */
  cgroupParent: string;
  limits: Pick<BuildLimits, 'disk' | 'processes'>;
  made: MadeImages;
}

/**
 * Sees what the engine's builder does not bound: what the steps write, and how many processes they are. The containers that run
 * them carry no labels of ours, since the engine makes them; they are found by their control group, which nothing inside can change.
 */
export class StepWatch {
  readonly #strangers = new Set<string>();
  readonly #ours = new Set<string>();

  constructor(private readonly watched: WatchedBuild) {}

  /** Every one that was seen. */
  get containers(): ReadonlySet<string> {
    return this.#ours;
  }

  /** Until the signal. @throws KilnError `bad_request` saying which limit was passed */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const since = performance.now();
      await this.#look(signal);
      const pause = Math.max(LOOK_MS, (performance.now() - since) * SHARE);
      await delay(pause, undefined, { signal }).catch(() => undefined);
    }
  }

  /** The builder removes them itself; this waits for it, and sees to those that it forgot. */
  async end(): Promise<void> {
    for (const until = performance.now() + REMOVE_MS; performance.now() < until; await delay(LOOK_MS / 5)) {
      if ((await this.#steps(true)).length === 0) return;
    }
    for (const id of await this.#steps(true)) {
      const removed = this.watched.docker.getContainer(id).remove({ force: true, v: true, abortSignal: AbortSignal.timeout(REMOVE_MS) });
      await removed.catch(() => undefined);
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { limits, made } = this.watched;
    let written = await made.bytes();
    for (const id of await this.#steps(false)) {
      const { bytes, processes } = await this.#measure(id).catch(nothing);
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
      if (this.#strangers.has(Id)) continue;
      const isOurs = this.#ours.has(Id) || (await this.#parentOf(Id)) === cgroupParent;
      (isOurs ? this.#ours : this.#strangers).add(Id);
      if (isOurs) found.push(Id);
    }
    return found;
  }

  async #parentOf(id: string): Promise<string | undefined> {
    const info = await this.watched.docker
      .getContainer(id)
      .inspect()
      .catch(() => undefined);
    return info?.HostConfig.CgroupParent;
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

  /** A VOLUME above a RUN: what is written there is in no layer, and on the machine's disk all the same. */
  async #volumeBytes(folder: string): Promise<number> {
    const bytes = await folderBytes(folder, this.watched.limits.disk);
    if (bytes !== undefined) return bytes;
    throw new KilnError('bad_request', 'a step runs with a VOLUME, and what it writes there can’t be measured on this node', {
      fix: 'put VOLUME behind the last RUN',
    });
  }
}

/** Of all files below a folder, as far as `enough`; undefined where it can't be read. */
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

/** A step that has ended meanwhile. */
function nothing(error: unknown): { bytes: number; processes: number } {
  if (error instanceof KilnError) throw error;
  return { bytes: 0, processes: 0 };
}
