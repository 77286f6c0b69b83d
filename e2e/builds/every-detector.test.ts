import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { DETECTORS } from '@kiln/builder/detect/detect';
import { SourceFolder } from '@kiln/builder/source/source-folder';
import { expect, it } from 'vitest';
import { FUNCTIONS } from './projects/functions.js';
import { LANGUAGES } from './projects/languages.js';
import { SERVERS } from './projects/node-servers.js';
import { PAGES } from './projects/web-apps.js';
import { FRAMEWORKS } from './projects/web-frameworks.js';

const PROJECTS = [FUNCTIONS, LANGUAGES, SERVERS, PAGES, FRAMEWORKS].flat();

it('every detector builds a real project in every run, not only in the nightly one', async () => {
  const folders = PROJECTS.filter(({ nightly }) => nightly !== true).map(({ folder }) => sourceFolder(folder));
  const used = await Promise.all(folders.map(detectorOf));
  const unused = DETECTORS.filter((detector) => !used.includes(detector));
  expect(await Promise.all(unused.map((detector) => detector.looksFor({}, sourceFolder(import.meta.dirname))))).toEqual([]);
});

async function detectorOf(folder: SourceFolder) {
  for (const detector of DETECTORS) {
    if ((await detector.detect(folder, {})) !== undefined) return detector;
  }
  throw new Error(`no detector recognises ${folder.root}`);
}

function sourceFolder(root: string): SourceFolder {
  const files = readdirSync(root, { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile());
  const paths = files.map(({ parentPath, name }) => relative(root, join(parentPath, name)));
  const sources = paths.filter((path) => !path.split('/').includes('node_modules'));
  return new SourceFolder(
    root,
    sources.map((path) => ({ path, size: 0, executable: false, hash: '' })),
  );
}
