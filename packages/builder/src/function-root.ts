import { KilnError } from '@kiln/contract/errors';
import { detect } from './detect.js';
import { NothingToBuild } from './nothing-to-build.js';
import type { SourceFolder } from './source-folder.js';

/** Whether the root of folders that are functions is one itself: whatever a build of it would recognise, and what only has to be corrected. */
export async function isFunctionRoot(root: SourceFolder): Promise<boolean> {
  try {
    return (await detect(root, {})).doubtful !== true;
  } catch (error) {
    if (error instanceof KilnError) return !(error instanceof NothingToBuild);
    throw error;
  }
}
