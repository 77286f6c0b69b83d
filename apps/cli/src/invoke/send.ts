import http from 'node:http';
import https from 'node:https';
import { Readable } from 'node:stream';
import { KilnError } from '@kiln/contract/errors';
import type { Target } from './address.js';
import type { Body } from './body.js';

interface OutgoingCall {
  target: Target;
  method: string;
  /** A flat list of names and values, sent in this order. */
  headers: string[];
  body: Body | undefined;
  signal: AbortSignal;
}

/** Sends one HTTP request and resolves with the response as soon as its head has arrived. */
export function send({ target: { origin, path }, method, headers, body, signal }: OutgoingCall): Promise<http.IncomingMessage> {
  const { request: open } = origin.protocol === 'https:' ? https : http;
  return new Promise((resolve, reject) => {
    const request = open(origin, { path, method, headers: complete(headers, origin, body), signal, agent: false });
    request.once('response', resolve);
    request.once('error', (error: NodeJS.ErrnoException) => reject(explained(error, origin)));
    if (body?.content instanceof Readable) {
      body.content.once('error', (error) => request.destroy(error));
      body.content.pipe(request);
    } else request.end(body?.content);
  });
}

function complete(headers: readonly string[], origin: URL, body: Body | undefined): string[] {
  const has = (name: string) => headers.some((header, i) => i % 2 === 0 && header.toLowerCase() === name);
  const all = [...headers];
  if (!has('host')) all.push('Host', origin.host);
  if (!has('user-agent')) all.push('User-Agent', 'kiln');
  if (!body) return all;
  if (!has('content-type')) all.push('Content-Type', looksLikeJson(body.content) ? 'application/json' : 'application/octet-stream');
  return all.concat(body.length === undefined ? ['Transfer-Encoding', 'chunked'] : ['Content-Length', String(body.length)]);
}

function looksLikeJson(content: Body['content']): boolean {
  if (typeof content !== 'string') return false;
  try {
    JSON.parse(content);
    return true;
  } catch {
    return false;
  }
}

const UNREACHED = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN', 'ETIMEDOUT']);

function explained(error: NodeJS.ErrnoException, { origin }: URL): Error {
  if (error.name === 'AbortError') return error;
  const why = error.code ?? error.message;
  const [what, fix] = UNREACHED.has(why)
    ? [`cannot connect to ${origin}`, 'check that the router runs: kiln status']
    : [`the connection to ${origin} broke before the response`, 'see what happened: kiln status'];
  return new KilnError('unavailable', `${what}: ${why}`, { fix });
}
