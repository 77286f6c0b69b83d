import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { dirname, join } from 'node:path';
import mime from 'mime-types';
import send from 'send';
import type { FunctionExport } from '../handler/exports.js';
import { type Encoding, folderOf, type SiteFile, type SiteList } from './site-list.js';

const INDEX = '/index.html';
const NOT_FOUND_PAGE = '/404.html';
/** Pages in the cache, by depth of the path; deeper pages are made for each request. */
const MAX_KEPT = 8;
const REVALIDATE = 'no-cache';
const FOREVER = 'public, max-age=31536000, immutable';

/** The site of a list, as an export. */
export function siteExport(listPath: string): FunctionExport {
  const site = new Site(dirname(listPath), JSON.parse(readFileSync(listPath, 'utf8')) as SiteList);
  return { name: 'default', kind: 'app', handler: (request, response) => site.answer(request, response), upgrade: undefined };
}

/** Never looks a client's path up in the file system: a path is in the list, or it is not found. */
class Site {
  readonly #files: ReadonlyMap<string, SiteFile>;
  readonly #pages = new Map<number, Buffer>();

  constructor(
    private readonly root: string,
    private readonly list: SiteList,
  ) {
    this.#files = new Map(Object.entries(list.files));
  }

  answer(request: IncomingMessage, response: ServerResponse): void {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD');
      answerText(response, 405, 'only GET and HEAD');
      return;
    }
    const [target, query] = splitTarget(request.url ?? '/');
    const path = decoded(target);
    const found = this.#find(path);
    if (found !== undefined) this.#sendFile(request, response, found);
    else if (this.#files.has(`${path}${INDEX}`)) redirect(response, target, query);
    else if (this.list.app && isNavigation(request, path)) this.#sendPage(request, response, path);
    else if (this.#files.has(NOT_FOUND_PAGE)) this.#sendFile(request, response, NOT_FOUND_PAGE, 404);
    else answerText(response, 404, 'there is no such page');
  }

  /** The file itself, the index page of a folder, or the `.html` file of a path without an extension. */
  #find(path: string): string | undefined {
    const names = path.endsWith('/') ? [`${path.slice(0, -1)}${INDEX}`] : [path, `${path}.html`];
    return names.find((name) => this.#files.has(name));
  }

  #sendFile(request: IncomingMessage, response: ServerResponse, path: string, status = 200): void {
    const file = this.#files.get(path)!;
    // A range counts bytes of the uncompressed file.
    const encoding = request.headers.range === undefined ? chosenEncoding(request, file.encodings) : undefined;
    response.statusCode = status;
    describe(response, file, `"${file.hash}${encoding === undefined ? '' : `-${encoding}`}"`);
    if (encoding !== undefined) response.setHeader('Content-Encoding', encoding);
    send(request, encodeURI(path), {
      root: join(this.root, folderOf(encoding)),
      dotfiles: 'allow',
      index: false,
      etag: false,
      lastModified: false,
      cacheControl: false,
      acceptRanges: encoding === undefined && status === 200,
    })
      .on('error', (error: SendError) => refuse(response, error))
      .pipe(response);
  }

  /** The app's page, for a path that the app's own code handles. */
  #sendPage(request: IncomingMessage, response: ServerResponse, path: string): void {
    const depth = path.split('/').length - 2;
    const page = this.#files.get(INDEX)!;
    if (depth === 0) {
      this.#sendFile(request, response, INDEX);
      return;
    }
    const content = this.#pageAt(depth);
    const etag = `"${page.hash}-${depth}"`;
    describe(response, page, etag);
    if (request.headers['if-none-match']?.includes(etag)) {
      response.statusCode = 304;
      response.removeHeader('Content-Type');
      response.end();
      return;
    }
    response.setHeader('Content-Length', content.length);
    response.end(request.method === 'HEAD' ? undefined : content);
  }

  /** The page with relative links that go up as many folders as the path has. */
  #pageAt(depth: number): Buffer {
    const kept = this.#pages.get(depth);
    if (kept !== undefined) return kept;
    const text = readFileSync(join(this.root, folderOf(undefined), INDEX), 'utf8');
    const up = '../'.repeat(depth);
    const page = Buffer.from(/<base\s/i.test(text) ? text : text.replace(/(\s(?:src|href)=["']?)\.\//gi, `$1${up}`));
    if (this.#pages.size < MAX_KEPT) this.#pages.set(depth, page);
    return page;
  }
}

function describe(response: ServerResponse, file: SiteFile, etag: string): void {
  response.setHeader('Content-Type', file.type);
  response.setHeader('Cache-Control', file.immutable ? FOREVER : REVALIDATE);
  response.setHeader('ETag', etag);
  response.setHeader('X-Content-Type-Options', 'nosniff');
  if (file.encodings.length > 0) response.setHeader('Vary', 'Accept-Encoding');
}

/** Whether a browser opens a page; a missing script, style or image is just not found. */
function isNavigation({ headers }: IncomingMessage, path: string): boolean {
  const mode = headers['sec-fetch-mode'];
  const opensPage = mode === undefined ? (headers.accept ?? '').includes('text/html') : mode === 'navigate';
  const type = mime.lookup(path.slice(path.lastIndexOf('/') + 1).replace(/^[^.]*$/, ''));
  return opensPage && (type === false || type === 'text/html');
}

function chosenEncoding({ headers }: IncomingMessage, encodings: readonly Encoding[]): Encoding | undefined {
  const accepted = new Set<string>();
  for (const part of String(headers['accept-encoding'] ?? '').split(',')) {
    const [name = '', ...parameters] = part.toLowerCase().split(';');
    if (!parameters.some((parameter) => /^\s*q\s*=\s*0(\.0*)?\s*$/.test(parameter))) accepted.add(name.trim());
  }
  return encodings.find((encoding) => accepted.has(encoding));
}

function splitTarget(url: string): [string, string] {
  const at = url.indexOf('?');
  return at < 0 ? [url, ''] : [url.slice(0, at), url.slice(at)];
}

/** A path that can't be decoded stays as it is: no file has such a name. */
function decoded(target: string): string {
  try {
    return decodeURIComponent(target);
  } catch {
    return target;
  }
}

/** A relative redirect to the form with a slash, so that the prefix of the path stays. */
function redirect(response: ServerResponse, target: string, query: string): void {
  const location = `./${target.slice(target.lastIndexOf('/') + 1)}/${query}`;
  response.writeHead(307, { Location: location, 'Cache-Control': REVALIDATE, 'Content-Length': 0 }).end();
}

interface SendError extends Error {
  status: number;
  headers?: Record<string, string>;
}

/** Responds to a wrong range or a failed condition; any other error is a fault of the disk. */
function refuse(response: ServerResponse, { status, headers }: SendError): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  for (const name of response.getHeaderNames()) response.removeHeader(name);
  for (const [name, value] of Object.entries(headers ?? {})) response.setHeader(name, value);
  const text = status < 500 ? 'the condition or the range of the request does not fit the file' : 'the file can not be read';
  answerText(response, status, text);
}

function answerText(response: ServerResponse, status: number, text: string): void {
  response.statusCode = status;
  response.setHeader('Content-Type', 'text/plain; charset=utf-8');
  response.setHeader('Cache-Control', REVALIDATE);
  response.setHeader('X-Content-Type-Options', 'nosniff');
  response.end(`${text}\n`);
}
