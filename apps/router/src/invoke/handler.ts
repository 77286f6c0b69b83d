import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { ERRORS, KilnError } from '@kiln/contract/errors';
import { REQUEST_ID, VERSION } from '@kiln/contract/wire/headers';
import { type Exchange, SLOW_BODY } from '@kiln/forward/exchange/forward';
import { KEPT_BYTES, RequestBody } from '@kiln/forward/exchange/request-body';
import { Members } from '@kiln/forward/members';
import { HttpDownstream } from '@kiln/forward/server/downstream';
import { problemMessage, writeProblem } from '@kiln/forward/server/problem';
import type { Route, VersionRoute } from '../view/route-table.js';
import { admit, type KeyCheck } from './admission.js';
import { agentHeaders } from './agent-request.js';
import { conclude } from './conclude.js';
import { type AttemptParts, attemptNodes } from './nodes/attempt-nodes.js';
import { Call } from './nodes/call.js';
import { type InvocationRecord, newRecord } from './nodes/invocation-record.js';
import { RequestSender, UpgradeSender } from './nodes/senders.js';
import { RefusedAtDoor, refuseAtDoor } from './refuse-at-door.js';
import { type AddressForms, addressOf, type FunctionAddress } from './request/address.js';
import { lastOf, type Peer, type Peers } from './request/peers.js';
import { pickVersion } from './request/pick-version.js';
import { answerPlatform } from './request/platform.js';
import { type ScannedHeaders, scanHeaders } from './request/scan-headers.js';
import { cookieFor, stuckTo } from './request/sticky.js';
import { strayAsset } from './request/stray-asset.js';

/** A body that is read before a node is chosen must have come by then. */
const SMALL_BODY_MS = 30_000;

/** What the pipeline works with; all of it in memory. */
export interface HandlerParts extends AttemptParts {
  forms: AddressForms;
  secret: string;
  placementHeaders: boolean;
  peers: Peers;
  routes: {
    find(name: string): Route | undefined;
    /** Reads the functions anew: another router may have deployed one a moment ago. Bounded; never rejects. */
    refreshOnMiss(): Promise<void>;
  };
  keys: KeyCheck;
  isReady(): boolean;
  onInvocation(record: InvocationRecord): void;
  /** An error that is Kiln's own fault. */
  onFault(error: unknown, requestId: string): void;
}

/** What a request runs. */
interface Picked {
  version: VersionRoute;
  /** `Set-Cookie` for a client that shall meet this version again. */
  cookie: string | undefined;
}

/** Takes requests from the door to a node and their answers back. */
export class InvokeHandler {
  /** Requests that switch, or have switched, protocols. */
  readonly upgrades = new Members<Exchange>();

  constructor(private readonly parts: HandlerParts) {}

  /** The way of a request, top to bottom. Never rejects. `expectsContinue`: the client waits for leave to send its body. */
  async request(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): Promise<void> {
    const arrivedAt = performance.now();
    const { parts } = this;
    const peer = parts.peers.of(request.socket);
    const scanned = scanHeaders(request.rawHeaders, peer.trusted);
    const record = newRecord(scanned.requestId ?? randomUUID(), request.method!);
    let body: RequestBody | undefined;
    try {
      refuseAtDoor(request);
      const address = addressOf(scanned.host, request.url!, parts.forms);
      if (address.kind === 'platform') {
        const stray = strayAsset(request, scanned, peer, parts.forms);
        if (stray !== undefined && parts.routes.find(stray.name) !== undefined) redirect(response, stray.location, record);
        else answerPlatform(request, response, address.path, { requestId: record.requestId, ready: parts.isReady(), forms: parts.forms });
        return;
      }
      if (address.kind === 'no_function') throw noSuchFunction(address.name);
      const picked = this.find(address, record, scanned) ?? (await this.refreshOnMiss(address, record, scanned));
      const { version } = picked;
      if (address.redirect !== undefined && (record.method === 'GET' || record.method === 'HEAD')) {
        redirect(response, address.redirect, record);
        return;
      }
      admit(version.config, parts.keys, { ...asking(scanned, peer), bodyLength: scanned.bodyLength });
      body = new RequestBody(request, scanned.bodyLength, version.config.maxBody);
      const notifyLease = expectsContinue || body.length === undefined || body.length > KEPT_BYTES;
      if (body.length !== 0) await readAhead(body, notifyLease);
      const call = this.call(record, picked, address, scanned, peer, arrivedAt, notifyLease);
      const outcome = await attemptNodes(call, parts, new RequestSender(call, new HttpDownstream(response), body, expectsContinue));
      record.end = conclude(outcome, version.config);
    } catch (error) {
      this.refuse(error, record, response);
      body ??= RequestBody.of(request, 0);
    } finally {
      this.close(record, body, arrivedAt);
    }
  }

  /** The same for a request to switch protocols. */
  async upgrade(request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    const arrivedAt = performance.now();
    const { parts } = this;
    const peer = parts.peers.of(socket);
    const scanned = scanHeaders(request.rawHeaders, peer.trusted);
    const record = newRecord(scanned.requestId ?? randomUUID(), request.method!);
    try {
      refuseAtDoor(request);
      if (scanned.bodyLength !== 0) throw new KilnError('bad_request', 'a request to switch protocols can have no body');
      const address = addressOf(scanned.host, request.url!, parts.forms);
      if (address.kind === 'platform') throw new KilnError('not_found', 'nothing here switches protocols');
      if (address.kind === 'no_function') throw noSuchFunction(address.name);
      const picked = this.find(address, record, scanned) ?? (await this.refreshOnMiss(address, record, scanned, socket));
      const { version } = picked;
      admit(version.config, parts.keys, { ...asking(scanned, peer), bodyLength: 0 });
      const call = this.call(record, picked, address, scanned, peer, arrivedAt, false);
      const outcome = await attemptNodes(call, parts, new UpgradeSender(call, { request, socket, head }, this.upgrades));
      record.end = conclude(outcome, version.config);
    } catch (error) {
      this.refuseSocket(error, record, socket);
    } finally {
      this.close(record, undefined, arrivedAt);
    }
  }

  private find(address: FunctionAddress, record: InvocationRecord, { cookie }: ScannedHeaders): Picked | undefined {
    const route = this.parts.routes.find(address.name);
    if (route === undefined) return undefined;
    const stuck = route.sticky ? stuckTo(cookie) : undefined;
    const version = pickVersion(route, address.version, Math.random, stuck);
    if (version === undefined) return undefined;
    record.function = address.name;
    record.version = version.version;
    return { version, cookie: cookieFor(route, address, version.version, stuck) };
  }

  /** For what is not known here. @throws KilnError where it is not known anywhere */
  private async refreshOnMiss(
    address: FunctionAddress,
    record: InvocationRecord,
    scanned: ScannedHeaders,
    socket?: Socket,
  ): Promise<Picked> {
    // A connection that asked for another protocol has nobody yet who hears of its end.
    socket?.once('error', () => socket.destroy());
    await this.parts.routes.refreshOnMiss();
    const picked = this.find(address, record, scanned);
    if (picked !== undefined) return picked;
    if (this.parts.routes.find(address.name) === undefined) throw noSuchFunction(address.name);
    const which = address.version === undefined ? 'no version that is ready' : `no version ${address.version}`;
    throw new KilnError('version_not_found', `function "${address.name}" has ${which}`, { fix: `see \`kiln versions ${address.name}\`` });
  }

  private call(
    record: InvocationRecord,
    { version, cookie }: Picked,
    address: FunctionAddress,
    scanned: ScannedHeaders,
    peer: Peer,
    arrivedAt: number,
    notifyLease: boolean,
  ): Call {
    const { secret, placementHeaders } = this.parts;
    const headers = agentHeaders(scanned, peer, {
      secret,
      function: record.function,
      version: record.version,
      requestId: record.requestId,
      prefix: address.prefix,
      notifyLease,
      hidesKey: version.config.auth === 'key',
    });
    const call = new Call(record, version, headers, address.path, arrivedAt, placementHeaders);
    call.cookie = cookie;
    if (address.prefix !== undefined) call.pathForm = { prefix: address.prefix, hasSlash: address.redirect === undefined };
    return call;
  }

  private refuse(error: unknown, record: InvocationRecord, response: ServerResponse): void {
    const known = this.known(error, record);
    if (known instanceof RefusedAtDoor) response.shouldKeepAlive = false;
    if (response.destroyed) record.end = 'client_gone';
    else if (response.headersSent) response.destroy();
    else writeProblem(response, known, record.requestId, versionHeader(record), record.status);
  }

  private refuseSocket(error: unknown, record: InvocationRecord, socket: Socket): void {
    const known = this.known(error, record);
    if (socket.writable) socket.write(problemMessage(known, record.requestId, versionHeader(record), record.status));
    socket.destroySoon();
  }

  private known(error: unknown, record: InvocationRecord): KilnError {
    const known = error instanceof KilnError ? error : new KilnError('internal', 'the router failed; its log has the request id');
    if (known !== error) this.parts.onFault(error, record.requestId);
    record.end = 'refused';
    record.code = known.code;
    record.status = known instanceof RefusedAtDoor ? known.status : ERRORS[known.code].status;
    return known;
  }

  private close(record: InvocationRecord, body: RequestBody | undefined, arrivedAt: number): void {
    record.totalMs = performance.now() - arrivedAt;
    if (body !== undefined) {
      record.requestBytes = body.bytes;
      body.discard();
    }
    if (record.function === '') return;
    try {
      this.parts.onInvocation(record);
    } catch (error) {
      this.parts.onFault(error, record.requestId);
    }
  }
}

/** Behind a trusted proxy the caller is the last one whom that names. */
function asking({ authorization, forwardedFor }: ScannedHeaders, { address, trusted }: Peer) {
  return { authorization, address: (trusted ? lastOf(forwardedFor) : undefined) ?? address };
}

/** A small body is read whole before a node is chosen; of another as much as came with the head. */
async function readAhead(body: RequestBody, streams: boolean): Promise<void> {
  const fault = await (streams ? body.firstSegment() : body.readWhole(SMALL_BODY_MS));
  if (fault === 'slow') throw new RefusedAtDoor(408, SLOW_BODY);
  if (fault !== undefined) throw new KilnError('bad_request', 'the request body is broken or ended early');
}

function redirect(response: ServerResponse, location: string, record: InvocationRecord): void {
  record.status = 307;
  record.end = 'answered';
  response.writeHead(307, ['Location', location, 'Content-Length', '0', ...versionHeader(record), REQUEST_ID, record.requestId]);
  response.end();
}

function noSuchFunction(name: string): KilnError {
  return new KilnError('function_not_found', `there is no function "${name}"`, { fix: 'see `kiln ls` for those that exist' });
}

function versionHeader({ version }: InvocationRecord): string[] {
  return version === 0 ? [] : [VERSION, String(version)];
}
