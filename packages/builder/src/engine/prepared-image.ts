import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { Readable } from 'node:stream';
import type Dockerode from 'dockerode';
import { pack } from 'tar-stream';
import { imageId } from './base-image.js';
import { BuildOutput } from './build-output.js';
import { engineBuild } from './engine-build.js';

const MEMORY_MB = 2048;
const TIME_MS = 600_000;

/** An image of ours that functions are built on or with, made once per engine. Nothing of a user's is in it. */
export interface Prepared {
  /** In the image's name: `kiln/<name>`. */
  name: string;
  dockerfile: string;
  files?: ReadonlyMap<string, Buffer>;
}

/** By engine and tag: functions deployed at the same moment wait for one build. */
const running = new WeakMap<Dockerode, Map<string, Promise<string>>>();

/** @returns its tag, which names its content */
export async function ensurePrepared(
  docker: Dockerode,
  prepared: Prepared,
  baseImageId: string,
  onLine: (line: string) => void,
  signal: AbortSignal,
): Promise<string> {
  const tag = `kiln/${prepared.name}:${hashOf(prepared, baseImageId)}`;
  if ((await imageId(docker, tag)) !== undefined) return tag;
  const builds = running.get(docker) ?? new Map<string, Promise<string>>();
  running.set(docker, builds);
  const build = builds.get(tag) ?? make(docker, prepared, tag, onLine).finally(() => builds.delete(tag));
  builds.set(tag, build);
  const cancelled = Promise.withResolvers<never>();
  const cancel = () => cancelled.reject(signal.reason);
  signal.addEventListener('abort', cancel, { once: true });
  if (signal.aborted) cancel();
  try {
    return await Promise.race([build, cancelled.promise]);
  } finally {
    signal.removeEventListener('abort', cancel);
    build.catch(() => undefined);
  }
}

function hashOf({ dockerfile, files }: Prepared, baseImageId: string): string {
  const hash = createHash('sha256').update(JSON.stringify([dockerfile, baseImageId]));
  for (const [path, content] of files ?? []) hash.update(JSON.stringify([path, content.length])).update(content);
  return hash.digest('hex').slice(0, 32);
}

/** Goes on when whoever asked for it first leaves: others wait for it, or will. */
async function make(
  docker: Dockerode,
  { name, dockerfile, files }: Prepared,
  tag: string,
  onLine: (line: string) => void,
): Promise<string> {
  onLine(`making the image kiln/${name}, once for this engine`);
  const context = pack();
  context.entry({ name: 'Dockerfile' }, dockerfile);
  for (const [path, content] of files ?? []) context.entry({ name: path, mode: 0o755, mtime: new Date(0) }, content);
  context.finalize();
  await engineBuild({
    docker,
    context: Readable.from(context),
    tag,
    labels: {},
    memory: MEMORY_MB,
    cpus: availableParallelism(),
    network: undefined,
    output: new BuildOutput(onLine),
    signal: AbortSignal.timeout(TIME_MS),
  });
  return tag;
}
