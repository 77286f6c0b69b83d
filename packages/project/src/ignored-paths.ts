import { Worker } from 'node:worker_threads';
import { KilnError } from '@kiln/contract/errors';
import { ALWAYS_SENT, ignoreRules } from './ignore-rules.js';

/** For all files of one folder. */
const LIMITS = { deadlineMs: 10_000, memoryMb: 256 };

export interface IgnoreTexts {
  dockerignore: string | undefined;
  kilnignore: string | undefined;
}

/**
 * Which of the paths the ignore files leave out. Patterns become regular expressions, and one with many stars can run for ever on one
 * path. A thread of its own matches them within a deadline, so that no other request waits.
 * @param paths relative to the folder that has the files; a folder ends with `/`
 * @throws KilnError `bad_request` when it takes too long, or a line is no pattern
 */
export async function ignoredPaths(
  texts: IgnoreTexts,
  paths: readonly string[],
  limits: Partial<typeof LIMITS> = {},
): Promise<Set<string>> {
  const asked = paths.filter((path) => !ALWAYS_SENT.has(path));
  if (asked.length === 0) return new Set();
  // An error with the number of the line would not come whole out of the thread. Only a .dockerignore has such; a .kilnignore takes time.
  ignoreRules(texts.dockerignore);
  const ignored = await match(texts, asked, { ...LIMITS, ...limits });
  return new Set(asked.filter((_path, i) => ignored[i] === 1));
}

/** Tests run the sources as TypeScript. */
const WORKER = new URL(import.meta.url.endsWith('.ts') ? './match-worker.fixture.ts' : './match-worker.js', import.meta.url);

async function match(texts: IgnoreTexts, paths: string[], { deadlineMs, memoryMb }: typeof LIMITS): Promise<Uint8Array> {
  const worker = new Worker(WORKER, { workerData: { texts, paths }, resourceLimits: { maxOldGenerationSizeMb: memoryMb } });
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise<Uint8Array>((resolve, reject) => {
      timer = setTimeout(() => reject(refusal(`matching their patterns takes longer than ${deadlineMs / 1000} s`)), deadlineMs);
      worker.once('message', resolve);
      worker.once('error', (error) => reject(refusal('their patterns can not be matched', error)));
      worker.once('exit', (code) => reject(refusal(`matching their patterns ended with code ${code}`)));
    });
  } finally {
    clearTimeout(timer);
    await worker.terminate();
  }
}

function refusal(why: string, cause?: unknown): KilnError {
  return new KilnError('bad_request', `.dockerignore or .kilnignore: ${why}`, {
    fix: 'write fewer patterns, with fewer stars in each, or send fewer and less deep folders',
    cause,
  });
}
