import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { ERRORS, KilnError } from '@kiln/contract/errors';
import { REQUEST_ID, VERSION } from '@kiln/contract/wire/headers';
import { KEPT_BYTES, type RequestBody } from '@kiln/forward/body/request-body';
import { type Exchange, forward, SLOW_BODY } from '@kiln/forward/exchange/forward';
import { Members } from '@kiln/forward/members';
import { bodyOf, HttpDownstream } from '@kiln/forward/server/http-server';
import { writeProblem } from '@kiln/forward/server/problem';
import type { NodeConnections } from '../placement/node.js';
import type { KeyTable } from '../view/key-table.js';
import type { Route } from '../view/route-table.js';
import { type AddressForms, addressOf, cookieFor, type FunctionAddress, type Picked, pickVersion, stuckTo } from './address.js';
import { isPreflight, requireKey, tooLarge } from './admission.js';
import { type Caller, type CallerRefusal, Invocation, type InvocationEnd, type InvocationRecord } from './invocation.js';
import { answerPlatform, strayAsset } from './platform.js';
import { callerOf, linesForNode, type Peer, type Peers, RefusedAtDoor, type RequestHead, readHead, refuseAtDoor } from './request-head.js';
import { type TryParts, tryNodes } from './try-nodes.js';
import { UpgradeCaller } from './upgrade-caller.js';

const CONTINUE = 100;
const WITHOUT_KEY = 'the function takes only requests with a valid API key';
/** A body that is read before a node is chosen must have come by then. */
const SMALL_BODY_MS = 30_000;

/** What the pipeline works with; all of it in memory. */
export interface PipelineParts extends TryParts {
  forms: AddressForms;
  secret: string;
  placementHeaders: boolean;
  peers: Peers;
  routes: { find(name: string): Route | undefined };
  /** Reads the functions anew: another router may have deployed one a moment ago. Bounded; never rejects. */
  refreshOnMiss(): Promise<void>;
  keys: Pick<KeyTable, 'allows'>;
  isReady(): boolean;
  /** Told of every request to a function once it is over. */
  observers: Iterable<(record: InvocationRecord) => void>;
  /** An error that is Kiln's own fault. */
  onFault(error: unknown, requestId: string): void;
}

/** Takes requests from the door to a node and their answers back: ordinary ones, and those that ask to switch protocols. */
export class Pipeline {
  /** Requests that switch, or have switched, protocols. */
  readonly upgrades = new Members<Exchange>();

  constructor(private readonly parts: PipelineParts) {}

  readonly request = (request: IncomingMessage, response: ServerResponse): void => {
    this.run(new HttpCaller(request, response, false)).catch((error: unknown) => giveUp(response, error));
  };

  /** Its caller waits for leave to send its body. */
  readonly expecting = (request: IncomingMessage, response: ServerResponse): void => {
    this.run(new HttpCaller(request, response, true)).catch((error: unknown) => giveUp(response, error));
  };

  upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    this.run(new UpgradeCaller(request, socket, head, this.upgrades)).catch((error: unknown) => giveUp(socket, error));
  }

  /** The way of a request, top to bottom, and of its answer back. */
  private async run(caller: Caller): Promise<void> {
    const arrivedAt = performance.now();
    const { request } = caller;
    const peer = this.parts.peers.of(request.socket);
    const head = readHead(request.rawHeaders, peer.trusted);
    const requestId = head.requestId ?? randomUUID();
    let call: Invocation | undefined;
    let record: InvocationRecord | undefined;
    try {
      refuseAtDoor(request, head);
      if (caller.switches && head.bodyLength !== 0) throw new KilnError('bad_request', 'a request to switch protocols can have no body');
      const address = addressOf(head.host, request.url!, this.parts.forms);
      if (address.kind === 'platform') return this.answerOwn(caller, head, peer, address.path, requestId);
      if (address.kind === 'no_function') throw noSuchFunction(address.name);
      const picked = this.find(address, head) ?? (await this.findAnew(address, head));
      call = new Invocation(requestId, address, picked, caller, arrivedAt, this.parts.placementHeaders);
      if (address.redirect !== undefined && mayRedirect(call)) {
        redirect(caller.response, address.redirect, requestId, call);
        record = call.toRecord('answered', { status: 307, code: undefined });
      } else {
        record = call.toRecord(await this.serve(call, head, peer));
        caller.discard();
      }
    } catch (error) {
      const refusal = this.refusalOf(error, requestId, call);
      const end = caller.refuse(refusal);
      record = call?.toRecord(end, { status: refusal.status, code: refusal.error.code });
      caller.discard();
    } finally {
      if (record !== undefined) this.tell(record);
    }
  }

  /** Admits a request to a function and takes it to a node. @throws KilnError where the caller has not had an answer yet */
  private serve(call: Invocation, head: RequestHead, peer: Peer): Promise<InvocationEnd> {
    const { parts } = this;
    const { caller } = call;
    const { config } = call.version;
    if (config.auth === 'key' && !isPreflight(caller, head)) {
      requireKey(parts.keys, head.authorization, 'invoke', callerOf(peer, head.forwardedFor), WITHOUT_KEY);
    }
    if (head.bodyLength !== undefined && head.bodyLength > config.maxBody) throw tooLarge(config);
    const body = caller.read(config.maxBody, head.bodyLength);
    call.body = body;
    const notifyLease = caller.expectsContinue || body.length === undefined || body.length > KEPT_BYTES;
    call.headers = linesForNode(head, peer, parts.secret, call, notifyLease);
    return body.length === 0 ? tryNodes(call, parts) : readAhead(body, notifyLease).then(() => tryNodes(call, parts));
  }

  /** Undefined where the function or the version is not known here. */
  private find(address: FunctionAddress, { cookie }: RequestHead): Picked | undefined {
    const route = this.parts.routes.find(address.name);
    if (route === undefined) return undefined;
    const stuck = route.sticky ? stuckTo(cookie) : undefined;
    const version = pickVersion(route, address.version, Math.random, stuck);
    if (version === undefined) return undefined;
    return { version, cookie: cookieFor(route, address, version.version, stuck) };
  }

  /** For what is not known here. @throws KilnError where it is not known anywhere */
  private async findAnew(address: FunctionAddress, head: RequestHead): Promise<Picked> {
    await this.parts.refreshOnMiss();
    const found = this.find(address, head);
    if (found !== undefined) return found;
    if (this.parts.routes.find(address.name) === undefined) throw noSuchFunction(address.name);
    const which = address.version === undefined ? 'no version that is ready' : `no version ${address.version}`;
    throw new KilnError('version_not_found', `function "${address.name}" has ${which}`, { fix: `see \`kiln versions ${address.name}\`` });
  }

  /** The router's own paths, and files that a page by path asks for at the root. */
  private answerOwn(caller: Caller, head: RequestHead, peer: Peer, path: string, requestId: string): void {
    const { forms, routes, isReady } = this.parts;
    const { request, response } = caller;
    const stray = strayAsset(request, head, peer, forms);
    if (stray !== undefined && routes.find(stray.name) !== undefined) redirect(response, stray.location, requestId, undefined);
    else answerPlatform(request, response, path, { requestId, ready: isReady(), forms });
  }

  private refusalOf(error: unknown, requestId: string, call: Invocation | undefined): CallerRefusal {
    const known = error instanceof KilnError ? error : new KilnError('internal', 'the router failed; its log has the request id');
    if (known !== error) this.parts.onFault(error, requestId);
    const status = known instanceof RefusedAtDoor ? known.status : ERRORS[known.code].status;
    return { error: known, requestId, lines: versionLines(call), status };
  }

  private tell(record: InvocationRecord): void {
    try {
      for (const observe of this.parts.observers) observe(record);
    } catch (error) {
      this.parts.onFault(error, record.requestId);
    }
  }
}

/** An ordinary request. */
class HttpCaller implements Caller {
  readonly switches = false;
  private body: RequestBody | undefined;
  private readonly downstream: HttpDownstream;

  constructor(
    readonly request: IncomingMessage,
    readonly response: ServerResponse,
    public expectsContinue: boolean,
  ) {
    this.downstream = new HttpDownstream(response);
  }

  read(maxBody: number, length: number | undefined): RequestBody {
    this.body = bodyOf(this.request, maxBody, length);
    return this.body;
  }

  mayContinue(): void {
    if (!this.expectsContinue) return;
    this.expectsContinue = false;
    this.downstream.inform(CONTINUE);
  }

  send(call: Invocation, { upstream }: NodeConnections): Exchange {
    return forward(call, this.downstream, upstream, call);
  }

  refuse({ error, requestId, lines, status }: CallerRefusal): InvocationEnd {
    const { response } = this;
    if (error instanceof RefusedAtDoor) response.shouldKeepAlive = false;
    if (response.destroyed) return 'client_gone';
    if (response.headersSent) response.destroy();
    else writeProblem(response, error, requestId, lines, status);
    return 'refused';
  }

  discard(): void {
    (this.body ?? bodyOf(this.request, 0)).discard();
  }
}

/** A small body is read whole before a node is chosen; of another as much as came with the head. */
async function readAhead(body: RequestBody, streams: boolean): Promise<void> {
  const fault = await (streams ? body.firstSegment() : body.readWhole(SMALL_BODY_MS));
  if (fault === 'slow') throw new RefusedAtDoor(408, SLOW_BODY);
  if (fault !== undefined) throw new KilnError('bad_request', 'the request body is broken or ended early');
}

function mayRedirect({ method, caller }: Invocation): boolean {
  return !caller.switches && (method === 'GET' || method === 'HEAD');
}

function redirect(response: ServerResponse, location: string, requestId: string, call: Invocation | undefined): void {
  response.writeHead(307, ['Location', location, 'Content-Length', '0', ...versionLines(call), REQUEST_ID, requestId]);
  response.end();
}

function noSuchFunction(name: string): KilnError {
  return new KilnError('function_not_found', `there is no function "${name}"`, { fix: 'see `kiln ls` for those that exist' });
}

function versionLines(call: Invocation | undefined): string[] {
  return call === undefined ? [] : [VERSION, String(call.version.version)];
}

/** A fault of ours that no step of a request knows of: the caller must not wait for ever. The last handler of the process tells it. */
function giveUp(caller: { destroy(): void }, error: unknown): never {
  caller.destroy();
  throw error;
}
