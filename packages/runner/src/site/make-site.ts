import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import mime from 'mime-types';
import { BASED, type Encoding, folderOf, SITE_LIST, type SiteFile, type SiteList, withBase } from './site-list.js';

const MAX_FILES = 50_000;
const LEAST_COMPRESSED = 1024;
const MOST_COMPRESSED = 16 * 1024 * 1024;
/** Above this size, the best brotli level takes seconds for a few percent. */
const BEST_BROTLI = 512 * 1024;
const COMPRESSIBLE = /^text\/|[/+](json|javascript|xml|wasm|ttf|otf|manifest\+json|vnd\.ms-fontobject)\b|^image\/(svg|bmp|x-icon)/;
/** Names at the root that are never public. */
const PRIVATE = new Set(['kiln.json', 'node_modules']);
const PUBLIC_DOT_NAMES = new Set(['.well-known']);
const HASHED_NAME = /[.-]([\w-]{8}|[0-9a-f]{9,64})(\.chunk)?\.\w+(\.map)?$/;
const NEXT_FILES = '_next/static/';
const DATE_OR_SIZE = /^[\d_-]+$|^\d+x\d+$/;

export interface SiteOptions {
  source: string;
  target: string;
  app: boolean;
  /** Folder whose files a bundler copies under their own names: a hash in such a name does not follow the content. */
  copied: string | undefined;
  /** A path that stands for the page's root: it goes from the files, and comes back as the prefix of a request by path. */
  base: string | undefined;
}

/** Copies the public files of a folder, compresses them, and lists them; only listed files are ever served. */
export async function makeSite({ source, target, app, copied, base }: SiteOptions): Promise<SiteList> {
  const list: SiteList = { app, ...(base !== undefined && { base }), files: {} };
  for (const path of await publicFiles(source, '')) {
    const hashed = isHashedName(path) && (copied === undefined || !existsSync(join(copied, path)));
    list.files[`/${path}`] = await addFile({ source, target, path, base }, hashed);
  }
  const count = Object.keys(list.files).length;
  if (!('/index.html' in list.files)) throw new Error(`there is no index.html among the ${count} files of the site in ${source}`);
  await writeFile(join(target, SITE_LIST), JSON.stringify(list));
  return list;
}

/** Regular files only: a link could point anywhere. */
async function publicFiles(root: string, below: string): Promise<string[]> {
  const found: string[] = [];
  const entries = await readdir(join(root, below), { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const { name } = entry;
    if ((name.startsWith('.') && !PUBLIC_DOT_NAMES.has(name)) || (below === '' && PRIVATE.has(name))) continue;
    const path = below === '' ? name : `${below}/${name}`;
    if (entry.isDirectory()) found.push(...(await publicFiles(root, path)));
    else if (entry.isFile()) found.push(path);
    if (found.length > MAX_FILES) throw new Error(`the site has more than ${MAX_FILES} files`);
  }
  return found;
}

/** Whether a tool made the name from the content: `index-BQ3x_1aZ.js`, `main.1a2b3c4d.css`, all files of Next.js. */
export function isHashedName(path: string): boolean {
  if (path.startsWith(NEXT_FILES)) return true;
  const [, hash] = HASHED_NAME.exec(posix.basename(path)) ?? [];
  if (hash === undefined || DATE_OR_SIZE.test(hash)) return false;
  return /[a-z]/i.test(hash) && /\d|.[A-Z]/.test(hash);
}

interface PublicFile extends Pick<SiteOptions, 'source' | 'target' | 'base'> {
  path: string;
}

async function addFile({ source, target, path, base }: PublicFile, immutable: boolean): Promise<SiteFile> {
  const from = join(source, path);
  const type = mime.contentType(posix.extname(path)) || 'application/octet-stream';
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of createReadStream(from) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    size += chunk.length;
  }
  const plain = join(target, folderOf(undefined), path);
  const isText = COMPRESSIBLE.test(type) && size <= MOST_COMPRESSED;
  const based = isText && base !== undefined && (await readFile(from)).includes(base);
  if (based) {
    await put(join(target, BASED, path), (to) => copyFile(from, to));
    await put(plain, async (to) => writeFile(to, withBase(await readFile(from), base, '')));
  } else await put(plain, (to) => copyFile(from, to));
  const encodings = isText && size >= LEAST_COMPRESSED ? await compress(await readFile(plain), target, path) : [];
  return { type, hash: hash.digest('base64url').slice(0, 27), immutable, encodings, ...(based && { based }) };
}

async function compress(content: Buffer, target: string, path: string): Promise<Encoding[]> {
  const quality = content.length > BEST_BROTLI ? 7 : constants.BROTLI_MAX_QUALITY;
  const made: [Encoding, Buffer][] = [
    ['br', await promisify(brotliCompress)(content, { params: { [constants.BROTLI_PARAM_QUALITY]: quality } })],
    ['gzip', await promisify(gzip)(content, { level: 9 })],
  ];
  const smaller = made.filter(([, compressed]) => compressed.length < content.length * 0.95);
  for (const [encoding, compressed] of smaller) await put(join(target, folderOf(encoding), path), (to) => writeFile(to, compressed));
  return smaller.map(([encoding]) => encoding);
}

async function put(path: string, write: (path: string) => Promise<unknown>): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await write(path);
}
