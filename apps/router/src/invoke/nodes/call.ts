import type { Exchange } from '@kiln/forward/exchange/forward';
import type { VersionRoute } from '../../view/route-table.js';
import { keepToPrefix, type PathForm } from '../request/path-origin.js';
import { type AgentAnswer, callerHeaders, readAnswer } from './agent-answer.js';
import type { InvocationRecord } from './invocation-record.js';

/** Refusals after which another node may take the request. A version that can't start will not start elsewhere either. */
const WALK_ON: ReadonlySet<string> = new Set([
  'concurrency_limit',
  'no_capacity',
  'unavailable',
  'function_not_found',
  'version_not_found',
]);
/** A wait for a lease ends at the node after `startTimeout` and this. */
const WAIT_MARGIN_MS = 10_000;
/** How far past a version's own limits a node's word is awaited; with a tick of the watch it makes 1 s. */
const LATE_MS = 750;

/** Why an exchange is ended: its node does not answer at its door. */
export const NODE_LOST = 'the node went away';
/** Why an exchange is ended: its time has run out by the router's own clock. */
export const LATE = 'no answer came in time';

/** One admitted request on its way: what is sent, and what became of it so far. */
export class Call {
  answer: AgentAnswer | undefined;
  /** `Set-Cookie` of ours for the caller. */
  cookie: string | undefined;
  /** Undefined by host. */
  pathForm: PathForm | undefined;
  /** When the attempt under way was sent, by `performance.now()`. */
  sentAt = 0;
  /** By `performance.now()`; the attempt under way is ended past that. */
  deadline = 0;
  /** The attempt's answer came past its deadline, as after a freeze. */
  late = false;
  private exchange: Exchange | undefined;
  /** When the attempt got its lease; until that is known, when it gets it at the latest. */
  private leasedAt = 0;
  private leaseKnown = false;
  /** ms that earlier attempts had run. */
  private spent = 0;

  constructor(
    readonly record: InvocationRecord,
    readonly version: VersionRoute,
    /** To the node, Host included. */
    readonly headers: string[],
    readonly path: string,
    private readonly arrivedAt: number,
    /** Callers see which node and instance answers. */
    readonly placement: boolean,
  ) {}

  /** What the request weighs in its node's load. */
  get weight(): number {
    return 1 / this.version.config.concurrency;
  }

  /** An attempt begins: what was said of the last one counts no more. `tellsWaiting`: without a word the function's time runs. */
  begin(exchange: Exchange, tellsWaiting: boolean): void {
    this.answer = undefined;
    this.exchange = exchange;
    this.sentAt = performance.now();
    if (tellsWaiting) this.leased(this.sentAt);
    else this.waits(this.sentAt);
  }

  /** The node has no lease for it yet. */
  waits(now = performance.now()): void {
    this.leaseKnown = false;
    this.leasedBy(now + this.version.config.startTimeout + WAIT_MARGIN_MS);
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

  /** The node holds a lease: the function's time runs. */
  leased(now = performance.now()): void {
    this.leaseKnown = true;
    this.leasedBy(now);
  }

  /** Protocols were switched: only idleness ends the connection from here on. */
  switched(): void {
    this.deadline = Number.POSITIVE_INFINITY;
  }

  /** Nothing that comes so long after the function's time goes to the caller: only a machine that stood still lets it happen. */
  private isLate({ queueMs, startMs }: AgentAnswer): boolean {
    if (!this.leaseKnown) this.leasedBy(this.sentAt + queueMs + startMs);
    this.late = performance.now() > this.deadline;
    return this.late;
  }

  private leasedBy(at: number): void {
    this.leasedAt = at;
    this.deadline = at + this.version.config.timeout - this.spent + LATE_MS;
  }

  /** The node's head: the lines for the caller, or undefined where another node may take the request. */
  onHead(status: number, raw: string[]): string[] | undefined {
    const answer = readAnswer(raw);
    this.answer = answer;
    if (answer.notExecuted && WALK_ON.has(answer.error ?? '')) return undefined;
    if (!answer.notExecuted && this.isLate(answer)) return undefined;
    const { record } = this;
    record.status = status;
    record.code = answer.error;
    record.instance = answer.instance;
    record.start = answer.start;
    record.routeMs = this.sentAt - this.arrivedAt;
    record.queueMs = answer.queueMs;
    record.startMs = answer.startMs;
    record.execMs = answer.execMs;
    const shown = { requestId: record.requestId, version: record.version, routeMs: record.routeMs, placement: this.placement };
    if (this.pathForm !== undefined) answer.kept = keepToPrefix(answer.kept, this.pathForm);
    const lines = callerHeaders(answer, shown);
    if (this.cookie !== undefined) lines.push('Set-Cookie', this.cookie);
    return lines;
  }
}
