import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { Prepared } from './engine/prepared-image.js';
import { NODE_IMAGE } from './node/manifest.js';

export const RUNNER = 'runner.mjs';
export const RUNNER_PATH = `/opt/kiln/${RUNNER}`;

const DOCKERFILE = `FROM ${NODE_IMAGE}
COPY ${RUNNER} ${RUNNER_PATH}
LABEL kiln.kind=runner
WORKDIR /app
USER 65532:65532
ENTRYPOINT []
CMD ["node", "${RUNNER_PATH}"]
`;

/** The image on which every function of the runner for Node is built. */
export async function runnerImage(): Promise<Prepared> {
  const runner = await readFile(createRequire(import.meta.url).resolve(`@kiln/runner/${RUNNER}`));
  return { name: 'runner', dockerfile: DOCKERFILE, files: new Map([[RUNNER, runner]]) };
}
