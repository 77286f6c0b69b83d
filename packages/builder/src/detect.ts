import type { FunctionConfigInput, ImageKind } from '@kiln/contract/function-config';
import { dockerfileDetector } from './detectors/dockerfile.js';
import { goDetector } from './detectors/go.js';
import { nextDetector } from './detectors/next-app.js';
import { nodeServerDetector } from './detectors/node-server.js';
import { pythonDetector } from './detectors/python.js';
import { runnerDetector } from './detectors/runner-function.js';
import { rustDetector } from './detectors/rust.js';
import { staticSiteDetector } from './detectors/static-site.js';
import { webAppDetector } from './detectors/web-app.js';
import { NothingToBuild } from './nothing-to-build.js';
import type { Prepared } from './prepared-image.js';
import type { SourceFolder } from './source-folder.js';

/** How a folder becomes an image. */
export interface BuildPlan {
  kind: ImageKind;
  /** Images that the Dockerfile starts from, needed before the build; those of a folder's own are read from it with the build's arguments. */
  baseImages: string[];
  /** Written beside the sources, never among them; absent where the folder brings its own. */
  dockerfile?: { content(given: Given): string; sourcesUnder: string };
  /** An image of ours that it starts from, made on the first of `baseImages`; a plan of kind `runner` has the runner's. */
  prepared?: Prepared;
  /** Files of ours that go with them, by path in the context. */
  files?: ReadonlyMap<string, Buffer>;
  /** The module, for functions that a runner of ours serves (a site has none); and what in it is the function, where the folder tells. */
  entry?: string;
  handler?: string;
  /** The evidence is of a kind that the root of a repository of several functions has as well. */
  doubtful?: boolean;
  /** What suits this kind of folder; kiln.json wins. */
  config?: FunctionConfigInput;
  /** What a user should know of the way chosen: the evidence first. */
  notes: string[];
}

/** What is known only when the image is made. */
export interface Given {
  /** For kind `runner` Node and the runner, else the plan's own. */
  preparedImage: string;
  functionName: string;
}

export interface Detector {
  /** In the answer to a folder that nobody recognised. */
  looksFor(config: FunctionConfigInput, folder: SourceFolder): string | Promise<string>;
  detect(folder: SourceFolder, config: FunctionConfigInput): Promise<BuildPlan | undefined>;
}

const FIX =
  'add index.js that exports a handler (kiln init writes one), handler.py with handler(event), or a Dockerfile; or name the module as "entry" in kiln.json';

/** The first that recognises the folder builds it: what is more particular stands above what is more general. */
const DETECTORS: readonly Detector[] = [
  dockerfileDetector,
  goDetector,
  rustDetector,
  nextDetector,
  webAppDetector,
  nodeServerDetector,
  runnerDetector,
  pythonDetector,
  staticSiteDetector,
];

/** @throws KilnError `bad_request` saying what was looked for. */
export async function detect(folder: SourceFolder, config: FunctionConfigInput): Promise<BuildPlan> {
  for (const detector of DETECTORS) {
    const plan = await detector.detect(folder, config);
    if (plan !== undefined) return plan;
  }
  const lookedFor = await Promise.all(DETECTORS.map((detector) => detector.looksFor(config, folder)));
  throw new NothingToBuild(lookedFor.join('; '), FIX);
}
