// `kiln` as a command outside the checkout: a small file in a folder of PATH that starts this checkout's command line.
import { accessSync, constants, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { nodePath, ROOT } from './tools.mjs';

const NAME = 'kiln';
const MARK = '# The launcher of Kiln, made by npm start.';

/** Makes the launcher where nothing speaks against it, and says so; it never takes the place of another program. */
export function offerLauncher(announce, { path = process.env.PATH ?? '', home = homedir(), root = ROOT, refused = false } = {}) {
  if (refused || findOnPath(path) !== undefined) return;
  const folder = [join(home, '.local', 'bin'), '/usr/local/bin'].find((each) => path.split(delimiter).includes(each) && isWritable(each));
  if (folder === undefined) return;
  const file = join(folder, NAME);
  try {
    writeFileSync(file, launcher(file, root), { mode: 0o755, flag: 'wx' });
  } catch (error) {
    announce(`${file} could not be made (${error.message}); npx kiln works in this folder`);
    return;
  }
  announce(`made ${file}, so that kiln works in every folder; to remove it: rm ${file} (npm start -- --no-launcher makes none)`);
}

/** How this checkout's command line is typed from a folder: by its launcher, by npx inside it, else by its path. */
export function commandFor({ path = process.env.PATH ?? '', folder = process.cwd(), root = ROOT } = {}) {
  const found = findOnPath(path);
  if (found !== undefined && textOf(found).includes(`\nROOT=${quoted(root)}\n`)) return NAME;
  const isInside = folder === root || folder.startsWith(join(root, '/'));
  return isInside ? `npx ${NAME}` : `node ${quoted(join(root, 'scripts', 'kiln.mjs'))}`;
}

function launcher(file, root) {
  return `#!/bin/sh
${MARK} To remove it: rm ${file}
ROOT=${quoted(root)}
if [ ! -f "$ROOT/scripts/kiln.mjs" ]; then
  echo "kiln: the checkout at $ROOT is gone; run npm start in another one after: rm ${file}" >&2
  exit 1
fi
NODE=${quoted(nodePath())}
[ -x "$NODE" ] || NODE=node
KILN_COMMAND=${NAME} exec "$NODE" "$ROOT/scripts/kiln.mjs" "$@"
`;
}

function findOnPath(path) {
  return path
    .split(delimiter)
    .filter((folder) => folder !== '' && !folder.includes('node_modules'))
    .map((folder) => join(folder, NAME))
    .find((file) => existsSync(file));
}

function isWritable(folder) {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    return statSync(folder).isDirectory();
  } catch {
    return false; // Then another folder, or none.
  }
}

function textOf(file) {
  try {
    return statSync(file).size > 4096 ? '' : readFileSync(file, 'utf8');
  } catch {
    return ''; // Whatever it is, it is not ours.
  }
}

function quoted(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
