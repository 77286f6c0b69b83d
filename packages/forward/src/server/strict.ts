import type { IncomingMessage } from 'node:http';
import { is } from '../headers/headers.js';

/** More header lines than this are refused, never cut off. */
export const MAX_HEADERS = 200;
/** A header block larger than this is refused. */
export const MAX_HEADER_BYTES = 32 * 1024;

// Registered names, IPv4 and bracketed IPv6, with an optional port; nothing that a URL parser could read in two ways.
const HOST = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?$/;

/**
 * Why a request is ambiguous, so that two servers could read it differently; undefined where it is not. Node's parser has refused
 * bad framing and bytes before this; what it lets through is refused here.
 */
export function refuseAmbiguous(request: IncomingMessage): string | undefined {
  const { httpVersion, rawHeaders, url } = request;
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return 'the HTTP version must be 1.0 or 1.1';
  if (url === undefined || url.charCodeAt(0) !== 47) return 'the request target must be a path';
  let host: string | undefined;
  let encoding: string | undefined;
  let length = false;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!;
    if (name.length === 4 && is(name, 'host')) {
      if (host !== undefined) return 'more than one Host header';
      host = rawHeaders[i + 1]!;
      if (!HOST.test(host)) return 'the Host header is not a host';
    } else if (name.length === 14 && is(name, 'content-length')) {
      if (length) return 'more than one Content-Length header';
      length = true;
    } else if (name.length === 17 && is(name, 'transfer-encoding')) {
      if (encoding !== undefined) return 'more than one Transfer-Encoding header';
      encoding = rawHeaders[i + 1]!;
    }
  }
  if (host === undefined && httpVersion === '1.1') return 'the Host header is missing';
  if (encoding === undefined) return undefined;
  if (encoding.toLowerCase() !== 'chunked') return 'Transfer-Encoding must be exactly chunked';
  if (httpVersion === '1.0') return 'HTTP/1.0 knows no Transfer-Encoding';
  return length ? 'both Content-Length and Transfer-Encoding' : undefined;
}

/** True where the header block has more lines than are allowed. */
export function tooManyHeaders(request: IncomingMessage): boolean {
  return request.rawHeaders.length > 2 * MAX_HEADERS;
}
