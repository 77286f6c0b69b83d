import { hash } from 'node:crypto';
import { hasSystemd } from '@kiln/engine/cgroup-driver';
import { boundedHost, FUNCTION_USER, HARDENED } from '@kiln/engine/container-template';
import { engineError } from '@kiln/engine/engine-error';
import { Demultiplexer, type OutputStream } from '@kiln/engine/output-frames';
import { discardContainer } from '@kiln/engine/remove';
import type { ExportDescription } from '@kiln/runner/handler/exports';
import type Dockerode from 'dockerode';
import { LRUCache } from 'lru-cache';

const MAX_CACHED = 200;
/** A longer description is not cached. */
const MAX_CACHED_CHARS = 64 * 1024;
const PROCESSES = 128;
/** Enough for a message and its stack. */
const LAST_LINES = 20;

export interface DescribeRequest {
  docker: Dockerode;
  /** Image id: its content never changes, so the description can be cached. */
  image: string;
  entry: string;
  env: Record<string, string>;
  /** MB, cores */
  memory: number;
  cpus: number;
  /** ms */
  time: number;
  labels: Record<string, string>;
  signal: AbortSignal;
}

export type Description = { exports: ExportDescription[] } | { failure: string };

const described = new LRUCache<string, Description>({ max: MAX_CACHED });

/**
 * Loads the module in a container of its own, without a network, and reads what the module exports; then removes the container. A
 * module that can't be loaded this way is no error: it may need a secret or the network, and its first instance has both.
 */
export async function describeExports(request: DescribeRequest): Promise<Description> {
  const key = hash('sha256', JSON.stringify([request.image, request.entry, request.env]));
  const cached = described.get(key);
  if (cached !== undefined) return cached;
  const description = await loadInContainer(request);
  if (!('exports' in description) || JSON.stringify(description).length > MAX_CACHED_CHARS) return description;
  described.set(key, description);
  return description;
}

async function loadInContainer(request: DescribeRequest): Promise<Description> {
  const { docker, signal } = request;
  let container: Dockerode.Container | undefined;
  try {
    const options = containerOptions(request, await hasSystemd(docker));
    container = await docker.createContainer({ ...options, abortSignal: signal });
    await container.start({ abortSignal: signal });
    const exited = await exitOf(container, request.time, signal);
    if (exited === undefined) return { failure: `the module was not loaded after ${request.time} ms` };
    const { stdout, stderr } = outputOf(await container.logs({ stdout: true, stderr: true, tail: 200, abortSignal: signal }));
    return exited === 0 ? readDescription(stdout) : { failure: stderr.trimEnd().split('\n').slice(-LAST_LINES).join('\n') };
  } catch (error) {
    if (signal.aborted) throw error;
    throw engineError('reading the exports', error);
  } finally {
    if (container !== undefined) await discardContainer(container);
  }
}

/** The exit code; undefined where the container runs longer than `time`. */
async function exitOf(container: Dockerode.Container, time: number, signal: AbortSignal): Promise<number | undefined> {
  const timeout = AbortSignal.timeout(time);
  try {
    return ((await container.wait({ abortSignal: AbortSignal.any([signal, timeout]) })) as { StatusCode: number }).StatusCode;
  } catch (error) {
    if (timeout.aborted && !signal.aborted) return undefined;
    throw error;
  }
}

function containerOptions(request: DescribeRequest, isSystemd: boolean): Dockerode.ContainerCreateOptions {
  const { image, entry, env, memory, cpus, labels } = request;
  return {
    Image: image,
    Entrypoint: ['node', '/opt/kiln/runner.mjs', 'describe'],
    Cmd: [],
    WorkingDir: '/app',
    User: FUNCTION_USER,
    Env: [...Object.entries(env).map(([name, value]) => `${name}=${value}`), `KILN_ENTRY=${entry}`, 'HOME=/tmp'],
    Labels: labels,
    Healthcheck: { Test: ['NONE'] },
    HostConfig: {
      ...boundedHost({ memory, cpus, processes: PROCESSES }, isSystemd),
      ...HARDENED,
      NetworkMode: 'none',
      Tmpfs: { '/tmp': 'rw,nosuid,nodev,noexec,size=64m,mode=1777' },
      LogConfig: { Type: 'json-file', Config: { 'max-size': '1m', 'max-file': '1' } },
    },
  };
}

/** The module runs in the same process, so the output may hold anything. */
function readDescription(stdout: string): Description {
  const line = stdout.trimEnd().split('\n').at(-1) ?? '';
  try {
    const { exports } = JSON.parse(line) as { exports?: unknown };
    if (Array.isArray(exports) && exports.every(isDescription)) return { exports };
  } catch {
    // Not JSON: no description either.
  }
  return { failure: 'the runner gave no description' };
}

function isDescription(value: unknown): value is ExportDescription {
  return typeof value === 'object' && value !== null && 'name' in value && typeof value.name === 'string' && 'kind' in value;
}

function outputOf(frames: Buffer): Record<OutputStream, string> {
  const written: Record<OutputStream, Buffer[]> = { stdout: [], stderr: [] };
  new Demultiplexer((stream, chunk) => written[stream].push(chunk)).push(frames);
  return { stdout: Buffer.concat(written.stdout).toString(), stderr: Buffer.concat(written.stderr).toString() };
}
