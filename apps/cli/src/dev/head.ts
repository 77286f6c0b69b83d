import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { REQUEST_ID_PATTERN } from '@kiln/contract/names';
import { REQUEST_ID } from '@kiln/contract/wire/headers';
import { get, withoutNamed } from '@kiln/forward/headers/headers';
import { functionHeaders } from '@kiln/instances/serve/end-to-end';

/** The head of one call: which function, and what it gets to see, as a router would send it. */
export interface Head {
  name: string;
  /** `/fn/<name>`, where the function was found by path. */
  prefix: string;
  /** What is left of the target. */
  path: string;
  requestId: string;
}

const INTERNAL_ERROR = 500;
const BY_PATH = /^\/fn\/([^/?#]+)(.*)$/s;

/** @returns undefined where no function is meant. */
export function readHead(request: IncomingMessage): Head | undefined {
  const target = request.url ?? '/';
  const given = get(request.rawHeaders, REQUEST_ID);
  const requestId = given !== undefined && REQUEST_ID_PATTERN.test(given) ? given : randomUUID();
  const [, label] = /^([a-z0-9-]+)\.localhost(?::\d+)?$/i.exec(request.headers.host ?? '') ?? [];
  if (label !== undefined) return { name: label.toLowerCase(), prefix: '', path: target, requestId };
  const [, name, path] = BY_PATH.exec(target) ?? [];
  return name === undefined || path === undefined ? undefined : { name, prefix: `/fn/${name}`, path, requestId };
}

const REPLACED = [REQUEST_ID, 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-forwarded-prefix', 'forwarded'];

/** What goes to the function: nothing that belongs to the connection, nothing that only Kiln says. */
export function requestHeaders(request: IncomingMessage, { prefix, requestId }: Head): string[] {
  const kept = withoutNamed(functionHeaders(request.rawHeaders, false), REPLACED);
  const own = [REQUEST_ID, requestId, 'x-forwarded-for', request.socket.remoteAddress ?? '', 'x-forwarded-proto', 'http'];
  own.push('x-forwarded-host', request.headers.host ?? 'localhost');
  if (prefix !== '') own.push('x-forwarded-prefix', prefix);
  return [...kept, ...own];
}

/** What the caller gets: of headers like Kiln's own only the one by which the runner tells its 500 from the function's. */
export function answerHeaders(status: number, answered: readonly string[], requestId: string): string[] {
  return [...withoutNamed(functionHeaders(answered, status === INTERNAL_ERROR), [REQUEST_ID]), REQUEST_ID, requestId];
}
