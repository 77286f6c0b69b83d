import type { FunctionConfigInput, ImageKind } from '@kiln/contract/function-config';
import { dockerfileDetector } from './detectors/dockerfile.js';
import { pythonDetector } from './detectors/python.js';
import { runnerDetector } from './detectors/runner-function.js';
import { NothingToBuild } from './nothing-to-build.js';
import type { SourceFolder } from './source-folder.js';

/** How a folder becomes an image. */
export interface BuildPlan {
  kind: ImageKind;
  /** Images that the Dockerfile starts from, needed before the build. */
  baseImages: string[];
  /** Written beside the sources, never among them; absent where the folder brings its own. */
  dockerfile?: { content(runnerImage: string): string; sourcesUnder: string };
  /** Files of ours that go with them, by path in the context. */
  files?: ReadonlyMap<string, Buffer>;
  /** The module, for functions that a runner of ours serves; and what in it is the function, where the folder tells. */
  entry?: string;
  handler?: string;
  /** What suits this kind of folder; kiln.json wins. */
  config?: FunctionConfigInput;
  /** What a user should know of the way chosen. */
  notes: string[];
}

export interface Detector {
  /** In the answer to a folder that nobody recognised. */
  looksFor(config: FunctionConfigInput, folder: SourceFolder): string;
  detect(folder: SourceFolder, config: FunctionConfigInput): Promise<BuildPlan | undefined>;
}

const FIX =
  'add index.js that exports a handler (kiln init writes one), handler.py with handler(event), or a Dockerfile; or name the module as "entry" in kiln.json';

/** The first that recognises the folder builds it. */
const DETECTORS: readonly Detector[] = [dockerfileDetector, runnerDetector, pythonDetector];

/** @throws KilnError `bad_request` saying what was looked for. */
export async function detect(folder: SourceFolder, config: FunctionConfigInput): Promise<BuildPlan> {
  for (const detector of DETECTORS) {
    const plan = await detector.detect(folder, config);
    if (plan !== undefined) return plan;
  }
  const lookedFor = DETECTORS.map((detector) => detector.looksFor(config, folder)).join('; ');
  throw new NothingToBuild(lookedFor, FIX);
}
