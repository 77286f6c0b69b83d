import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { Readable } from 'node:stream';
import type Dockerode from 'dockerode';
import { pack } from 'tar-stream';
import { imageId } from './base-image.js';
import { engineBuild } from './engine-build.js';
import { NODE_IMAGE } from './node/manifest.js';

const MEMORY_MB = 512;

const RUNNER_PATH = '/opt/kiln/runner.mjs';

const DOCKERFILE = `FROM ${NODE_IMAGE}
COPY runner.mjs ${RUNNER_PATH}
LABEL kiln.kind=runner
WORKDIR /app
USER 65532:65532
ENTRYPOINT []
CMD ["node", "${RUNNER_PATH}"]
`;

/** By engine and tag: functions deployed at the same moment wait for one build. */
const running = new WeakMap<Dockerode, Map<string, Promise<string>>>();

/** The image that every runner function is built on, made once per engine and runner. Its tag, which names its content. */
export async function ensureRunnerImage(
  docker: Dockerode,
  baseImageId: string,
  onLine: (line: string) => void,
  signal: AbortSignal,
): Promise<string> {
  const runner = await readFile(createRequire(import.meta.url).resolve('@kiln/runner/runner.mjs'));
  const hash = createHash('sha256').update(runner).update(DOCKERFILE).update(baseImageId).digest('hex').slice(0, 32);
  const tag = `kiln/runner:${hash}`;
  if ((await imageId(docker, tag)) !== undefined) return tag;
  const builds = running.get(docker) ?? new Map<string, Promise<string>>();
  running.set(docker, builds);
  const build = builds.get(tag) ?? make(docker, tag, runner, onLine, signal).finally(() => builds.delete(tag));
  builds.set(tag, build);
  return await build;
}

async function make(docker: Dockerode, tag: string, runner: Buffer, onLine: (line: string) => void, signal: AbortSignal): Promise<string> {
  onLine('making the runner image, once for this engine');
  const context = pack();
  context.entry({ name: 'Dockerfile' }, DOCKERFILE);
  context.entry({ name: 'runner.mjs', mode: 0o755, mtime: new Date(0) }, runner);
  context.finalize();
  await engineBuild({
    docker,
    context: Readable.from(context),
    tag,
    labels: {},
    memory: MEMORY_MB,
    cpus: 1,
    network: undefined,
    onLine,
    signal,
  });
  return tag;
}
