import type { FunctionConfigInput } from '@kiln/contract/config/function-config';
import { KilnError } from '@kiln/contract/errors';
import type { SourceFolder } from '../source/source-folder.js';
import type { BuildPlan, Detector } from './detector.js';
import { dockerfileDetector } from './dockerfile.js';
import { goDetector } from './go.js';
import { nextDetector } from './next-app.js';
import { nodeServerDetector } from './node-server.js';
import { NothingToBuild } from './nothing-to-build.js';
import { pythonDetector } from './python.js';
import { runnerDetector } from './runner-function.js';
import { rustDetector } from './rust.js';
import { staticSiteDetector } from './static-site.js';
import { webAppDetector } from './web-app.js';

const FIX =
  'add index.js that exports a handler (kiln init writes one), handler.py with handler(event), or a Dockerfile; or name the module as "entry" in kiln.json';

/** The first detector that recognises the folder makes the plan, so the special ones come before the general ones. */
export const DETECTORS: readonly Detector[] = [
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

/** @throws KilnError `bad_request` that lists what the detectors looked for */
export async function detect(folder: SourceFolder, config: FunctionConfigInput): Promise<BuildPlan> {
  for (const detector of DETECTORS) {
    const plan = await detector.detect(folder, config);
    if (plan !== undefined) return plan;
  }
  const lookedFor = await Promise.all(DETECTORS.map((detector) => detector.looksFor(config, folder)));
  throw new NothingToBuild(lookedFor.join('; '), FIX);
}

/** Whether the root of a repository with function folders is a function itself: a build would recognise it, or only has to have a fault corrected. */
export async function isFunctionRoot(root: SourceFolder): Promise<boolean> {
  try {
    return (await detect(root, {})).doubtful !== true;
  } catch (error) {
    if (error instanceof KilnError) return !(error instanceof NothingToBuild);
    throw error;
  }
}
