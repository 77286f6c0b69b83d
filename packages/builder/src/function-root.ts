import { KilnError } from '@kiln/contract/errors';
import { detect } from './detect/detect.js';
import { NothingToBuild } from './detect/nothing-to-build.js';
import type { SourceFolder } from './source/source-folder.js';

/** Whether the root of folders that are functions is one itself: whatever a build of it would recognise, and what only has to be corrected. */
export async function isFunctionRoot(root: SourceFolder): Promise<boolean> {
  try {
    return (await detect(root, {})).doubtful !== true;
  } catch (error) {
    if (error instanceof KilnError) return !(error instanceof NothingToBuild);
    throw error;
  }
}
