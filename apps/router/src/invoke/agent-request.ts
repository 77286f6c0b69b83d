import { FUNCTION, NOTIFY_LEASE, REQUEST_ID, SECRET, VERSION } from '@kiln/contract/wire/headers';
import { withoutNamed } from '@kiln/forward/headers/headers';
import type { Peer } from './request/peers.js';
import type { ScannedHeaders } from './request/scan-headers.js';

/** What the router tells the node about a request, beside what the client sent. */
export interface AgentHeaders {
  secret: string;
  function: string;
  version: number;
  requestId: string;
  /** In path form: what was stripped from the target. */
  prefix: string | undefined;
  /** Ask the node to say when it holds a lease. */
  notifyLease: boolean;
  /** The caller's `Authorization` was for Kiln: the function must not learn the key. */
  hidesKey: boolean;
}

/** The header lines of the request to a node. Ours come first, so that no limit on the way can cut them off. */
export function agentHeaders(scanned: ScannedHeaders, peer: Peer, told: AgentHeaders): string[] {
  const headers = [SECRET, told.secret, FUNCTION, told.function, VERSION, String(told.version), REQUEST_ID, told.requestId];
  if (told.notifyLease) headers.push(NOTIFY_LEASE, '1');
  if (told.prefix !== undefined) headers.push('X-Forwarded-Prefix', told.prefix);
  addForwarded(headers, scanned, peer);
  const kept = told.hidesKey ? withoutNamed(scanned.kept, ['authorization']) : scanned.kept;
  for (const part of kept) headers.push(part);
  return headers;
}

// What an untrusted peer says about those before it is replaced by what we see; a trusted proxy's word is kept and added to.
function addForwarded(headers: string[], scanned: ScannedHeaders, { address, trusted }: Peer): void {
  const before = trusted ? scanned : undefined;
  const proto = isSecure(before?.forwardedProto) ? 'https' : 'http';
  const host = before?.forwardedHost ?? scanned.host;
  headers.push('X-Forwarded-For', before?.forwardedFor === undefined ? address : `${before.forwardedFor}, ${address}`);
  headers.push('X-Forwarded-Proto', proto);
  if (host !== undefined) headers.push('X-Forwarded-Host', host);
  const from = address.includes(':') ? `"[${address}]"` : address;
  const element = `for=${from};proto=${proto}${scanned.host === undefined ? '' : `;host="${scanned.host}"`}`;
  headers.push('Forwarded', before?.forwarded === undefined ? element : `${before.forwarded}, ${element}`);
}

/** Some proxies name the protocol of a WebSocket. */
function isSecure(proto: string | undefined): boolean {
  return proto !== undefined && /^(?:https|wss)$/i.test(proto);
}
