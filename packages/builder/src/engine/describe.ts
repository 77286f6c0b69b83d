import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { boundedHost } from '@kiln/engine/bounded-container';
import { hasSystemd } from '@kiln/engine/cgroup-driver';
import { engineError } from '@kiln/engine/engine-error';
import { Demultiplexer, type OutputStream } from '@kiln/engine/output-frames';
import type { ExportDescription } from '@kiln/runner/handler/exports';
import type Dockerode from 'dockerode';

const MAX_CACHED = 200;
/** A longer one is read anew each time, up to what the engine keeps of it. */
const MAX_CACHED_CHARS = 64 * 1024;
const PROCESSES = 128;
/** Room for a stack with the message above it. */
const LAST_LINES = 20;
const REMOVE_TIME_MS = 15_000;

export interface DescribeRequest {
  docker: Dockerode;
  /** Image id: what it holds never changes, so neither does the answer. */
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

const known = new Map<string, Description>();

/**
 * Loads the module in a container of its own, which reaches nothing and is gone afterwards, and asks what it exports. A module
 * that can't be loaded so (it may need a secret, or the network) is no error: its own start will tell.
 */
export async function describeExports(request: DescribeRequest): Promise<Description> {
  const key = createHash('sha256')
    .update(JSON.stringify([request.image, request.entry, request.env]))
    .digest('hex');
  const cached = known.get(key);
  if (cached !== undefined) return cached;
  const description = await inContainer(request);
  if (!('exports' in description) || JSON.stringify(description).length > MAX_CACHED_CHARS) return description;
  if (known.size >= MAX_CACHED) known.delete(known.keys().next().value!);
  known.set(key, description);
  return description;
}

async function inContainer(request: DescribeRequest): Promise<Description> {
  const { docker, signal } = request;
  let container: Dockerode.Container | undefined;
  try {
    const options = containerOptions(request, await hasSystemd(docker));
    container = await docker.createContainer({ ...options, abortSignal: signal });
    await container.start({ abortSignal: signal });
    const exited = await exitOf(container, request.time, signal);
    if (exited === undefined) return { failure: `the module was not loaded after ${request.time} ms` };
    const { stdout, stderr } = outputOf(await container.logs({ stdout: true, stderr: true, tail: 200, abortSignal: signal }));
    return exited === 0 ? readDescription(stdout) : { failure: lastLines(stderr) };
  } catch (error) {
    if (signal.aborted) throw error;
    throw engineError('reading the exports', error);
  } finally {
    // Whatever goes wrong here is found by the sweep of the node, by its labels.
    await container?.remove({ force: true, v: true, abortSignal: AbortSignal.timeout(REMOVE_TIME_MS) }).catch(() => undefined);
  }
}

async function exitOf(container: Dockerode.Container, time: number, signal: AbortSignal): Promise<number | undefined> {
  const settled = new AbortController();
  const waiting = delay(time, undefined, { signal: AbortSignal.any([signal, settled.signal]) });
  try {
    const exited = await Promise.race([container.wait({ abortSignal: signal }) as Promise<{ StatusCode: number }>, waiting]);
    return exited?.StatusCode;
  } finally {
    settled.abort();
  }
}

function containerOptions(
  { image, entry, env, memory, cpus, labels }: DescribeRequest,
  isSystemd: boolean,
): Dockerode.ContainerCreateOptions {
  return {
    Image: image,
    Entrypoint: ['node', '/opt/kiln/runner.mjs', 'describe'],
    Cmd: [],
    WorkingDir: '/app',
    User: '65532:65532',
    Env: [...Object.entries(env).map(([name, value]) => `${name}=${value}`), `KILN_ENTRY=${entry}`, 'HOME=/tmp'],
    Labels: labels,
    Healthcheck: { Test: ['NONE'] },
    HostConfig: {
      ...boundedHost({ memory, cpus, processes: PROCESSES }, isSystemd),
      NetworkMode: 'none',
      ReadonlyRootfs: true,
      Tmpfs: { '/tmp': 'rw,nosuid,nodev,noexec,size=64m,mode=1777' },
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges:true'],
      IpcMode: 'private',
      AutoRemove: false,
      RestartPolicy: { Name: 'no' },
      LogConfig: { Type: 'json-file', Config: { 'max-size': '1m', 'max-file': '1' } },
    },
  };
}

/** The module runs in the same process, so what was printed may be anything. */
function readDescription(stdout: string): Description {
  const line = stdout.trimEnd().split('\n').at(-1) ?? '';
  try {
    const { exports } = JSON.parse(line) as { exports?: unknown };
    if (Array.isArray(exports) && exports.every(isDescription)) return { exports };
  } catch {
    // Told below, with whatever else is no description.
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

function lastLines(text: string): string {
  return text.trimEnd().split('\n').slice(-LAST_LINES).join('\n');
}
