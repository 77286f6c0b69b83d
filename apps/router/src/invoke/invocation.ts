import type { IncomingMessage, ServerResponse } from 'node:http';
import type { KilnError } from '@kiln/contract/errors';
import { type StartKind, WAITING } from '@kiln/contract/wire/headers';
import type { RequestBody } from '@kiln/forward/body/request-body';
import type { Exchange, ForwardOptions, ForwardRequest } from '@kiln/forward/exchange/forward';
import type { UpgradeHooks } from '@kiln/forward/exchange/upgrade';
import { NODE_HEAD_BYTES } from '@kiln/forward/headers/head-limits';
import { NO_BODY } from '@kiln/forward/server/http-server';
import type { NodeConnections, UnderWay } from '../placement/node.js';
import type { VersionRoute } from '../view/route-table.js';
import type { FunctionAddress, Picked } from './address.js';
import { type AgentAnswer, callerHeaders, keepToPrefix, readAnswer } from './from-node.js';

/** How an invocation ended for its caller. */
export type InvocationEnd =
  /** The answer went out whole, whatever its status. */
  | 'answered'
  /** Kiln answered with an error of its own; `code` names it. */
  | 'refused'
  /** The other side broke off an answer that had started; the client's connection was cut. */
  | 'cut'
  | 'client_gone'
  /** Protocols were switched, and the connection has ended. */
  | 'switched';

/** One wide event per request to a function: flat, ready for a log line and for metrics. Times are ms. */
export interface InvocationRecord {
  requestId: string;
  function: string;
  version: number;
  method: string;
  /** Undefined where the caller was sent none. */
  status: number | undefined;
  end: InvocationEnd;
  /** The error code, of the router or of the node. */
  code: string | undefined;
  node: string | undefined;
  instance: string | undefined;
  start: StartKind | undefined;
  /** Nodes tried. */
  attempts: number;
  /** Milliseconds since 1970. */
  startedAt: number;
  routeMs: number;
  queueMs: number;
  startMs: number;
  execMs: number;
  totalMs: number;
  requestBytes: number;
}

/** An error that the router itself tells. */
export interface CallerRefusal {
  error: KilnError;
  requestId: string;
  lines: string[];
  status: number;
}

/** Whoever sent a request, and how it is sent on: as an ordinary request, or as one that asks to switch protocols. */
export interface Caller {
  readonly request: IncomingMessage;
  /** For answers of the router's own. @throws KilnError where there can be none: it asks to switch protocols */
  readonly response: ServerResponse;
  /** Asks to switch protocols. */
  readonly switches: boolean;
  /** Waits for leave to send its body. */
  readonly expectsContinue: boolean;
  /** Gives that leave. */
  mayContinue(): void;
  /** @param length declared bytes; undefined where it comes in chunks */
  read(maxBody: number, length: number | undefined): RequestBody;
  send(call: Invocation, node: NodeConnections): Exchange;
  refuse(refusal: CallerRefusal): InvocationEnd;
  /** Nobody wants what is still to come of its body. */
  discard(): void;
}

/** Refusals after which another node may take the request. A version that can't start will not start elsewhere either. */
const WALK_ON: ReadonlySet<string> = new Set([
  'concurrency_limit',
  'no_capacity',
  'unavailable',
  'function_not_found',
  'version_not_found',
]);
const PROCESSING = 102;
/** A wait for a lease ends at the node after `startTimeout` and this. */
const WAIT_MARGIN_MS = 10_000;
/** How far past a version's own limits a node's word is awaited; with a tick of the watch it makes 1 s. */
const LATE_MS = 750;

/** One request to a version of a function: what is sent to nodes, and what became of it so far. */
export class Invocation implements ForwardRequest, ForwardOptions, UpgradeHooks, UnderWay {
  readonly maxHeaderBytes = NODE_HEAD_BYTES;
  readonly version: VersionRoute;
  readonly method: string;
  readonly path: string;
  /** What it weighs in its node's load. */
  readonly weight: number;
  /** To the node, Host included. */
  headers: string[] = [];
  body: RequestBody = NO_BODY;
  /** The last node tried. */
  node: string | undefined;
  attempts = 0;
  /** What the last node tried has answered. */
  answer: AgentAnswer | undefined;
  /** By `performance.now()`; the attempt under way is ended past that. */
  deadline = 0;
  /** The attempt's answer came past its deadline, as after a freeze. */
  late = false;
  /** Of the answer that goes to the caller. */
  private status: number | undefined;
  /** When the attempt under way was sent, by `performance.now()`. */
  private sentAt = 0;
  private exchange: Exchange | undefined;
  /** When the attempt got its lease; until that is known, when it gets it at the latest. */
  private leasedAt = 0;
  private leaseKnown = false;
  /** ms that earlier attempts had run. */
  private spent = 0;
  private readonly startedAt = Date.now();
  private readonly cookie: string | undefined;

  constructor(
    readonly requestId: string,
    readonly address: FunctionAddress,
    { version, cookie }: Picked,
    readonly caller: Caller,
    private readonly arrivedAt: number,
    /** Callers see which node and instance answers. */
    readonly placement: boolean,
  ) {
    this.version = version;
    this.cookie = cookie;
    this.method = caller.request.method!;
    this.path = address.path;
    this.weight = 1 / version.config.concurrency;
  }

  /** Sends it to a node: what was said of the last one counts no more. */
  send(node: NodeConnections): Exchange {
    this.node = node.id;
    this.attempts++;
    this.answer = this.status = undefined;
    this.exchange = this.caller.send(this, node);
    this.sentAt = performance.now();
    // A node that reports its waiting need not report the lease: the time counts from here until it reports that it waits. An upgrade
    // gets no such report.
    if (node.tellsWaiting && !this.caller.switches) this.leased(this.sentAt);
    else this.waits(this.sentAt);
    return this.exchange;
  }

  /** As long as it may wait for a lease in all: a node where it has waited in vain is followed by no other. */
  waitedLong(): boolean {
    return performance.now() - this.arrivedAt > this.version.config.startTimeout;
  }

  /** Ends the attempt under way. */
  end(reason: string): void {
    this.exchange?.abort(reason);
  }

  /** The attempt broke off; what it took of the function's time is not given again. */
  lost(): void {
    this.spent += Math.max(0, performance.now() - this.leasedAt);
  }

  /** The node holds a lease: only now may the client be told to send, and may more be sent than can be sent again. */
  onInformation(status: number): void {
    if (status === WAITING) this.waits();
    if (status !== PROCESSING) return;
    this.leased();
    this.body.accepted();
    this.caller.mayContinue();
  }

  /** Protocols were switched: only idleness ends the connection from here on. */
  onSwitched(): void {
    this.deadline = Number.POSITIVE_INFINITY;
  }

  /** The node's head: the lines for the caller, or undefined where another node may take the request. */
  onHead(status: number, raw: string[]): string[] | undefined {
    const answer = readAnswer(raw);
    this.answer = answer;
    if (answer.notExecuted && WALK_ON.has(answer.error ?? '')) return undefined;
    if (!answer.notExecuted && this.isLate(answer)) return undefined;
    this.status = status;
    const { address } = this;
    if (address.prefix !== undefined) answer.kept = keepToPrefix(answer.kept, address.prefix, address.redirect === undefined);
    const lines = callerHeaders(answer, this.requestId, this.version.version, this.sentAt - this.arrivedAt, this.placement);
    if (this.cookie !== undefined) lines.push('Set-Cookie', this.cookie);
    return lines;
  }

  /** @param answered where the router itself answered: with that status, and the code of the error */
  toRecord(end: InvocationEnd, answered?: { status: number; code: string | undefined }): InvocationRecord {
    const taken = this.status === undefined ? undefined : this.answer;
    return {
      requestId: this.requestId,
      function: this.address.name,
      version: this.version.version,
      method: this.method,
      status: answered?.status ?? this.status,
      end,
      code: answered === undefined ? taken?.error : answered.code,
      node: this.node,
      instance: taken?.instance,
      start: taken?.start,
      attempts: this.attempts,
      startedAt: this.startedAt,
      routeMs: taken === undefined ? 0 : this.sentAt - this.arrivedAt,
      queueMs: taken?.queueMs ?? 0,
      startMs: taken?.startMs ?? 0,
      execMs: taken?.execMs ?? 0,
      totalMs: performance.now() - this.arrivedAt,
      requestBytes: this.body.bytes,
    };
  }

  /** The node has no lease for it yet. */
  private waits(now = performance.now()): void {
    this.leaseKnown = false;
    this.leasedBy(now + this.version.config.startTimeout + WAIT_MARGIN_MS);
  }

  /** The node holds a lease: the function's time runs. */
  private leased(now = performance.now()): void {
    this.leaseKnown = true;
    this.leasedBy(now);
  }

  private leasedBy(at: number): void {
    this.leasedAt = at;
    this.deadline = at + this.version.config.timeout - this.spent + LATE_MS;
  }

  /** Nothing that comes so long after the function's time goes to the caller: only a machine that stood still lets it happen. */
  private isLate({ queueMs, startMs }: AgentAnswer): boolean {
    if (!this.leaseKnown) this.leasedBy(this.sentAt + queueMs + startMs);
    this.late = performance.now() > this.deadline;
    return this.late;
  }
}
