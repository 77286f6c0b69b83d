import { KilnError } from '@kiln/contract/errors';
import type { BuildPlan } from './detect/detector.js';
import { SOURCES } from './dockerfile/layout.js';
import { RUNNER, RUNNER_PATH, runnerImage } from './runner-image.js';

const PREPARED_STAGE = 'prepared';
/** The folder for Kiln's own files; the public files of a site have no such name. */
const OWN = '.kiln';

export interface Ejected {
  dockerfile: string;
  /** Files that it copies beside the sources, by path in the folder. */
  files: ReadonlyMap<string, Buffer>;
}

/** A Dockerfile that builds the same image without Kiln, on public images. @throws KilnError `bad_request` where there is none */
export async function ejected(plan: BuildPlan, functionName: string, handler?: string): Promise<Ejected> {
  if (plan.dockerfile === undefined) throw refusal('the folder has its own Dockerfile', 'change that one');
  if (plan.kind === 'python') {
    throw refusal(
      'the runner for Python listens nowhere: it speaks to the agent of a node alone',
      'for a WSGI or ASGI application name gunicorn or uvicorn in requirements.txt, and eject again; deploy a handler as it is',
    );
  }
  const own = `${plan.dockerfile({ preparedImage: PREPARED_STAGE, functionName }).map(fromFolder).join('\n')}\n`;
  if (plan.kind === 'runner') return await withRunner(own, plan, functionName, handler);
  const files = plan.files ?? new Map();
  if (plan.prepared === undefined) return { dockerfile: own, files };
  return { dockerfile: `${plan.prepared.dockerfile.replace(/^FROM (\S+)\n/, `FROM $1 AS ${PREPARED_STAGE}\n`)}\n${own}`, files };
}

/** Adds the runner as a program that listens, so that the image is an HTTP image like any other. */
async function withRunner(own: string, { baseImages, entry, config }: BuildPlan, functionName: string, handler?: string): Promise<Ejected> {
  const runner = (await runnerImage()).files?.get(RUNNER);
  const path = `${OWN}/${RUNNER}`;
  if (runner === undefined) throw new Error('the image of the runner has no runner');
  const prepared = [
    `FROM ${baseImages[0]} AS ${PREPARED_STAGE}`,
    `COPY ${path} ${RUNNER_PATH}`,
    'WORKDIR /app',
    'USER 65532:65532',
    'ENTRYPOINT []',
  ];
  const named = handler === undefined ? [] : ['--handler', handler];
  const serve = ['node', RUNNER_PATH, 'serve', '--function', functionName, ...named, entry ?? config?.entry ?? '.'];
  const dockerfile = `${prepared.join('\n')}\n\n${own.trimEnd()}\nCMD ${JSON.stringify(serve)}\n`;
  return { dockerfile, files: new Map([[path, runner]]) };
}

/** Changes a COPY: the sources are at the root of the folder's own context. */
function fromFolder(line: string): string {
  if (!line.startsWith('COPY ') || line.includes('--from=')) return line;
  const words = line.split(' ');
  return words
    .map((word, i) => (i < words.length - 1 && word.startsWith(`${SOURCES}/`) ? `./${word.slice(SOURCES.length + 1)}` : word))
    .join(' ');
}

function refusal(why: string, fix: string): KilnError {
  return new KilnError('bad_request', `there is no Dockerfile to take over: ${why}`, { fix });
}
