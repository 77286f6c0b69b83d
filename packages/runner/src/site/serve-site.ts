import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { dirname, join } from 'node:path';
import mime from 'mime-types';
import send from 'send';
import type { FunctionExport } from '../handler/exports.js';
import { BasedTexts } from './based-texts.js';
import { type Encoding, folderOf, type SiteFile, type SiteList } from './site-list.js';

const INDEX = '/index.html';
const NOT_FOUND_PAGE = '/404.html';
/** As the router sends it: `/fn/<name>`, `/fn/<name>@<version>`. */
const PREFIX = /^(\/[\w@.-]+)+$/;
const UNREADABLE = 'the file can not be read';
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
  readonly #based: BasedTexts | undefined;

  constructor(
    private readonly root: string,
    private readonly list: SiteList,
  ) {
    this.#files = new Map(Object.entries(list.files));
    this.#based = list.base === undefined ? undefined : new BasedTexts(root, list.base);
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
    else if (this.list.app && isNavigation(request, path)) this.#sendFile(request, response, INDEX);
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
    const prefix = file.based ? prefixOf(request) : undefined;
    if (prefix !== undefined) return void this.#sendBased(request, response, path, prefix, status);
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

  /** Always whole: such a text is small, and asked for by one's own page. */
  async #sendBased(request: IncomingMessage, response: ServerResponse, path: string, prefix: string, status: number): Promise<void> {
    const file = this.#files.get(path)!;
    const encoding = chosenEncoding(request, ['gzip']);
    const etag = `"${file.hash}-by-path${encoding === undefined ? '' : `-${encoding}`}"`;
    try {
      const { content, gzip } = await this.#based!.read(path, prefix);
      const body = encoding === undefined ? content : gzip;
      describe(response, { ...file, encodings: ['gzip'] }, etag);
      if (encoding !== undefined) response.setHeader('Content-Encoding', encoding);
      response.statusCode = status === 200 && request.headers['if-none-match']?.includes(etag) ? 304 : status;
      if (response.statusCode === 304) response.removeHeader('Content-Type');
      else response.setHeader('Content-Length', body.length);
      response.end(response.statusCode === 304 || request.method === 'HEAD' ? undefined : body);
    } catch {
      answerText(response, 500, UNREADABLE);
    }
  }
}

function prefixOf({ headers }: IncomingMessage): string | undefined {
  const prefix = headers['x-forwarded-prefix'];
  return typeof prefix === 'string' && PREFIX.test(prefix) ? prefix : undefined;
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
  const text = status < 500 ? 'the condition or the range of the request does not fit the file' : UNREADABLE;
  answerText(response, status, text);
}

function answerText(response: ServerResponse, status: number, text: string): void {
  response.statusCode = status;
  response.setHeader('Content-Type', 'text/plain; charset=utf-8');
  response.setHeader('Cache-Control', REVALIDATE);
  response.setHeader('X-Content-Type-Options', 'nosniff');
  response.end(`${text}\n`);
}
