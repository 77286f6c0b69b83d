import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach } from 'vitest';
import { detect } from '../detect/detect.js';
import { type BuildPlan, dockerfileText } from '../detect/detector.js';
import { type SourceFile, SourceFolder } from './source-folder.js';

const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true });
});

/** A folder as it lies there when an archive has been unpacked. */
export function folder(contents: Record<string, string>, executable: string[] = []): SourceFolder {
  const root = mkdtempSync(join(tmpdir(), 'kiln-detect-'));
  roots.push(root);
  const files = Object.entries(contents).map(([path, content]): SourceFile => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
    return { path, size: content.length, executable: executable.includes(path), hash: createHash('sha256').update(content).digest('hex') };
  });
  return new SourceFolder(root, files);
}

export const GIVEN = { preparedImage: 'kiln/runner:x', functionName: 'f' };

/** The plan of a folder, and the Dockerfile that comes of it. */
export async function planOf(contents: Record<string, string>): Promise<BuildPlan & { text: string }> {
  const plan = await detect(folder(contents), {});
  return { ...plan, text: dockerfileText(plan, GIVEN) ?? '' };
}
