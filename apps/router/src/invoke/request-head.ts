import type { IncomingMessage } from 'node:http';
import { BlockList, isIPv6, type Socket } from 'node:net';
import type { FunctionConfig } from '@kiln/contract/config/function-config';
import { KilnError } from '@kiln/contract/errors';
import { REQUEST_ID_PATTERN } from '@kiln/contract/names';
import { FUNCTION, KILN_PREFIX, NOTIFY_LEASE, REQUEST_ID, SECRET, VERSION } from '@kiln/contract/wire/headers';
import { addConnectionNames, hasPrefix, is, isHopByHop, withoutNamed } from '@kiln/forward/headers/headers';
import type { FunctionAddress } from './address.js';

/** More header lines than this are refused, never cut off. */
const MAX_HEADERS = 200;
/** A header block larger than this is refused. */
export const MAX_HEADER_BYTES = 32 * 1024;

/** Who is at the other end of a connection. */
export interface Peer {
  address: string;
  /** A proxy whose X-Forwarded-* and Forwarded are believed. */
  trusted: boolean;
}

// On the socket itself: a WeakMap keeps dead sockets alive until the collector looks at old objects.
const PEER = Symbol('peer');

/** Knows the trusted proxies; asks once per connection. */
export class Peers {
  private readonly trusted = new BlockList();

  /** @param proxies addresses or CIDR ranges */
  constructor(proxies: readonly string[]) {
    for (const proxy of proxies) {
      const [network, bits] = proxy.split('/');
      const family = isIPv6(network!) ? 'ipv6' : 'ipv4';
      if (bits === undefined) this.trusted.addAddress(network!, family);
      else this.trusted.addSubnet(network!, Number(bits), family);
    }
  }

  of(socket: Socket & { [PEER]?: Peer }): Peer {
    let peer = socket[PEER];
    if (peer === undefined) {
      const remote = socket.remoteAddress ?? '';
      const address = remote.startsWith('::ffff:') ? remote.slice(7) : remote;
      peer = { address, trusted: address !== '' && this.trusted.check(address, isIPv6(address) ? 'ipv6' : 'ipv4') };
      socket[PEER] = peer;
    }
    return peer;
  }
}

/** Behind a trusted proxy the caller is the last one whom that names: the address that the nearest proxy saw. */
export function callerOf({ address, trusted }: Peer, forwardedFor: string | undefined): string {
  return (trusted ? forwardedFor?.slice(forwardedFor.lastIndexOf(',') + 1).trim() : undefined) ?? address;
}

/** What one pass over a request's header lines yields. */
export class RequestHead {
  /** What travels on as the client sent it: order, case and repeated lines kept. */
  kept: string[] = [];
  host: string | undefined;
  authorization: string | undefined;
  cookie: string | undefined;
  /** The caller's, where it is well formed. */
  requestId: string | undefined;
  /** Declared bytes of the body: 0 without one, undefined where it is chunked. */
  bodyLength: number | undefined = 0;
  hasLength = false;
  encoding: string | undefined;
  /** The first line that two servers could read differently. */
  ambiguity: string | undefined;
  /** From `X-Forwarded-For`, `-Proto`, `-Host` and `Forwarded`, never sent on as they are. */
  forwardedFor: string | undefined;
  forwardedProto: string | undefined;
  forwardedHost: string | undefined;
  forwarded: string | undefined;
}

// Registered names, IPv4 and bracketed IPv6, with an optional port; nothing that a URL parser could read in two ways.
const HOST = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?$/;
const FORWARDED_PREFIX = 'x-forwarded-';

/**
 * Reads the header lines once. Dropped are: hop-by-hop headers and those that `Connection` names, everything of Kiln's own
 * (`x-kiln-*`, in any spelling), `Expect`, the request id, and what a client may only say when it is a trusted proxy.
 */
export function readHead(raw: readonly string[], trusted: boolean): RequestHead {
  const head = new RequestHead();
  const { kept } = head;
  let named: string[] | undefined;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!;
    const value = raw[i + 1]!;
    if ((name.charCodeAt(0) | 32) === 120 && takeExtension(head, name, value, trusted)) continue;
    if (isHopByHop(name)) {
      if (is(name, 'connection')) named = addConnectionNames(named, value);
      else if (is(name, 'transfer-encoding')) takeEncoding(head, value);
    } else if (!takeKnown(head, name, value)) {
      kept.push(name, value);
    }
  }
  if (named !== undefined) head.kept = withoutNamed(kept, named);
  return head;
}

function takeEncoding(head: RequestHead, value: string): void {
  if (head.encoding !== undefined) head.ambiguity ??= 'more than one Transfer-Encoding header';
  head.encoding = value;
  head.bodyLength = undefined;
}

/** Notes what the router itself needs; true where the line does not travel on. */
function takeKnown(head: RequestHead, name: string, value: string): boolean {
  switch (name.length) {
    case 4:
      if (is(name, 'host')) takeHost(head, value);
      return false;
    case 6:
      if (is(name, 'cookie')) head.cookie = head.cookie === undefined ? value : `${head.cookie}; ${value}`;
      return is(name, 'expect');
    case 9:
      if (!is(name, 'forwarded')) return false;
      head.forwarded = joined(head.forwarded, value);
      return true;
    case 13:
      if (is(name, 'authorization')) head.authorization = value;
      return false;
    case 14:
      if (is(name, 'content-length')) takeLength(head, value);
      return false;
    default:
      return false;
  }
}

function takeHost(head: RequestHead, value: string): void {
  if (head.host !== undefined) head.ambiguity ??= 'more than one Host header';
  else if (!HOST.test(value)) head.ambiguity ??= 'the Host header is not a host';
  head.host = value;
}

function takeLength(head: RequestHead, value: string): void {
  if (head.hasLength) head.ambiguity ??= 'more than one Content-Length header';
  head.hasLength = true;
  head.bodyLength = Number(value);
}

/** The same for names that start with `x`. */
function takeExtension(head: RequestHead, name: string, value: string, trusted: boolean): boolean {
  if (is(name, 'x-request-id')) {
    if (head.requestId === undefined && REQUEST_ID_PATTERN.test(value)) head.requestId = value;
    return true;
  }
  if (hasPrefix(name, KILN_PREFIX)) return true;
  if (is(name, 'x-real-ip')) return !trusted;
  if (!hasPrefix(name, FORWARDED_PREFIX)) return false;
  switch (name.slice(FORWARDED_PREFIX.length).toLowerCase()) {
    case 'for':
      head.forwardedFor = joined(head.forwardedFor, value);
      return true;
    case 'proto':
      head.forwardedProto ??= first(value);
      return true;
    case 'host':
      head.forwardedHost ??= first(value);
      return true;
    case 'prefix':
      return true;
    default:
      return !trusted;
  }
}

function joined(before: string | undefined, value: string): string {
  return before === undefined ? value : `${before}, ${value}`;
}

/** Proxies one behind another make a list; its first element is what the caller itself used. */
function first(list: string): string {
  const end = list.indexOf(',');
  return (end === -1 ? list : list.slice(0, end)).trim();
}

/** The request never got as far as a function, and nothing behind it on its connection is read. Its status says more than its code. */
export class RefusedAtDoor extends KilnError {
  constructor(
    readonly status: number,
    detail: string,
  ) {
    super('bad_request', detail);
  }
}

/** Refuses what is ambiguous before anything else looks at the request. @throws KilnError */
export function refuseAtDoor(request: IncomingMessage, head: RequestHead): void {
  if (request.rawHeaders.length > 2 * MAX_HEADERS) throw new RefusedAtDoor(431, `more than ${MAX_HEADERS} header lines`);
  const reason = ambiguityOf(request, head);
  if (reason !== undefined) throw new RefusedAtDoor(400, reason);
  if (request.method === 'TRACE') throw new KilnError('method_not_allowed', 'TRACE would show the headers that were added on the way');
}

/** Why two servers could read it differently. Node's parser has refused bad framing and bytes before this; what it lets through is here. */
function ambiguityOf({ httpVersion, url }: IncomingMessage, { ambiguity, host, encoding, hasLength }: RequestHead): string | undefined {
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return 'the HTTP version must be 1.0 or 1.1';
  if (url === undefined || url.charCodeAt(0) !== 47) return 'the request target must be a path';
  if (ambiguity !== undefined) return ambiguity;
  if (host === undefined && httpVersion === '1.1') return 'the Host header is missing';
  if (encoding === undefined) return undefined;
  if (encoding.toLowerCase() !== 'chunked') return 'Transfer-Encoding must be exactly chunked';
  if (httpVersion === '1.0') return 'HTTP/1.0 knows no Transfer-Encoding';
  return hasLength ? 'both Content-Length and Transfer-Encoding' : undefined;
}

/** What the router tells the node about a request, beside what the client sent. */
interface SaidToNode {
  readonly requestId: string;
  readonly version: { readonly version: number; readonly config: FunctionConfig };
  readonly address: FunctionAddress;
}

/** The header lines of the request to a node. Ours come first, so that no limit on the way can cut them off. */
export function linesForNode(head: RequestHead, peer: Peer, secret: string, call: SaidToNode, notifyLease: boolean): string[] {
  const { version, address } = call;
  const headers = [SECRET, secret, FUNCTION, address.name, VERSION, String(version.version), REQUEST_ID, call.requestId];
  // The node says when it holds a lease.
  if (notifyLease) headers.push(NOTIFY_LEASE, '1');
  if (address.prefix !== undefined) headers.push('X-Forwarded-Prefix', address.prefix);
  addForwarded(headers, head, peer);
  // Where the caller's `Authorization` was for Kiln the function must not learn the key.
  const kept = version.config.auth === 'key' ? withoutNamed(head.kept, ['authorization']) : head.kept;
  for (const part of kept) headers.push(part);
  return headers;
}

// What an untrusted peer says about those before it is replaced by what we see; a trusted proxy's word is kept and added to.
function addForwarded(headers: string[], head: RequestHead, { address, trusted }: Peer): void {
  const before = trusted ? head : undefined;
  const proto = isSecure(before?.forwardedProto) ? 'https' : 'http';
  const host = before?.forwardedHost ?? head.host;
  headers.push('X-Forwarded-For', before?.forwardedFor === undefined ? address : `${before.forwardedFor}, ${address}`);
  headers.push('X-Forwarded-Proto', proto);
  if (host !== undefined) headers.push('X-Forwarded-Host', host);
  const from = address.includes(':') ? `"[${address}]"` : address;
  const element = `for=${from};proto=${proto}${head.host === undefined ? '' : `;host="${head.host}"`}`;
  headers.push('Forwarded', before?.forwarded === undefined ? element : `${before.forwarded}, ${element}`);
}

/** Some proxies name the protocol of a WebSocket. */
function isSecure(proto: string | undefined): boolean {
  return proto !== undefined && /^(?:https|wss)$/i.test(proto);
}
