import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { Readable } from 'node:stream';
import type Dockerode from 'dockerode';
import { pack } from 'tar-stream';
import { type EngineRun, imageId } from './base-image.js';
import { BuildOutput } from './build-output.js';
import { engineBuild } from './engine-build.js';

const MEMORY_MB = 2048;
const TIME_MS = 600_000;

/** An image of Kiln's own that functions are built on or with. It is made once for each engine and holds nothing of a user. */
export interface Prepared {
  /** The image is called `kiln/<name>`. */
  name: string;
  dockerfile: string;
  files?: ReadonlyMap<string, Buffer>;
}

/** Running builds by engine and tag: functions that need the same image at the same time share one build. */
const running = new WeakMap<Dockerode, Map<string, Promise<string>>>();

/** @returns its tag, which is a hash of its content */
export async function ensurePrepared(run: EngineRun, prepared: Prepared, baseImageId: string): Promise<string> {
  const { docker, signal } = run;
  const tag = `kiln/${prepared.name}:${hashOf(prepared, baseImageId)}`;
  if ((await imageId(docker, tag)) !== undefined) return tag;
  const builds = running.get(docker) ?? new Map<string, Promise<string>>();
  running.set(docker, builds);
  const build = builds.get(tag) ?? make(run, prepared, tag).finally(() => builds.delete(tag));
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

/** Not cancelled with the build that asked first: other builds may wait for the image. */
async function make({ docker, onLine }: EngineRun, { name, dockerfile, files }: Prepared, tag: string): Promise<string> {
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
