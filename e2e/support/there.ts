import { existsSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');

/** The same files. @throws Error for one that is not there: a list would leave a file that has moved out without a word */
export function there(files: string[]): string[] {
  const missing = files.filter((file) => !existsSync(join(ROOT, file)));
  if (missing.length > 0) throw new Error(`there is no ${missing.join(', ')}`);
  return files;
}
