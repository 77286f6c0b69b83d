import { KilnError } from '@kiln/contract/errors';
import { detect } from './detect/detect.js';
import { NothingToBuild } from './detect/nothing-to-build.js';
import type { SourceFolder } from './source/source-folder.js';

/** Whether the root of a repository with function folders is a function itself: a build would recognise it, or only has to have a fault corrected. */
export async function isFunctionRoot(root: SourceFolder): Promise<boolean> {
  try {
    return (await detect(root, {})).doubtful !== true;
  } catch (error) {
    if (error instanceof KilnError) return !(error instanceof NothingToBuild);
    throw error;
  }
}
