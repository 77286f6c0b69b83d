import type { FunctionConfigInput } from '@kiln/contract/function-config';
import type { BuildPlan, Detector } from './detector.js';
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
import type { SourceFolder } from './source-folder.js';

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
