import { KilnError } from '@kiln/contract/errors';
import type { FunctionConfigInput, ImageKind } from '@kiln/contract/function-config';
import { dockerfileDetector } from './detectors/dockerfile.js';
import { runnerDetector } from './detectors/runner-function.js';
import type { SourceFolder } from './source-folder.js';

/** How a folder becomes an image. */
export interface BuildPlan {
  kind: ImageKind;
  /** Images that the Dockerfile starts from, needed before the build. */
  baseImages: string[];
  /** Written beside the sources, never among them; absent where the folder brings its own. */
  dockerfile?: { content(runnerImage: string): string; sourcesUnder: string };
  /** The module, for runner functions. */
  entry?: string;
  /** What a user should know of the way chosen. */
  notes: string[];
}

export interface Detector {
  /** In the answer to a folder that nobody recognised. */
  looksFor(config: FunctionConfigInput): string;
  detect(folder: SourceFolder, config: FunctionConfigInput): Promise<BuildPlan | undefined>;
}

/** The first that recognises the folder builds it. */
const DETECTORS: readonly Detector[] = [dockerfileDetector, runnerDetector];

/** @throws KilnError `bad_request` saying what was looked for. */
export async function detect(folder: SourceFolder, config: FunctionConfigInput): Promise<BuildPlan> {
  for (const detector of DETECTORS) {
    const plan = await detector.detect(folder, config);
    if (plan !== undefined) return plan;
  }
  const lookedFor = DETECTORS.map((detector) => detector.looksFor(config)).join('; ');
  throw new KilnError('bad_request', `nothing to build in this folder; looked for ${lookedFor}`, {
    fix: 'add an index.js that exports a function (req, res) => …, or a Dockerfile, or set "entry" in kiln.json',
  });
}
