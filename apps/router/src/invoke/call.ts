import type { VersionRoute } from '../deploy/route-table.js';
import { type AgentAnswer, callerHeaders, readAnswer } from './agent-answer.js';
import type { InvocationRecord } from './invocation-record.js';
import { keepToPrefix } from './path-origin.js';

/** Refusals after which another node may take the request. A version that can't start will not start elsewhere either. */
const WALK_ON: ReadonlySet<string> = new Set([
  'concurrency_limit',
  'no_capacity',
  'unavailable',
  'function_not_found',
  'version_not_found',
]);
/** How much longer than the version's own limits a node may stay silent before it counts as broken. */
const SILENCE_MS = 10_000;
/** Why such a node's exchange is aborted. */
export const SILENT = 'the node stayed silent';

/** One admitted request on its way: what is sent, and what became of it so far. */
export class Call {
  answer: AgentAnswer | undefined;
  /** `Set-Cookie` of ours for the caller. */
  cookie: string | undefined;
  /** In path form: what was stripped from the target. */
  prefix: string | undefined;
  /** When the attempt under way was sent, by `performance.now()`. */
  sentAt = 0;
  private guard: NodeJS.Timeout | undefined;

  constructor(
    readonly record: InvocationRecord,
    readonly version: VersionRoute,
    /** To the node, Host included. */
    readonly headers: string[],
    readonly path: string,
    private readonly arrivedAt: number,
    private readonly placement: boolean,
  ) {}

  /** What the request weighs in its node's load. */
  get weight(): number {
    return 1 / this.version.config.concurrency;
  }

  /** An attempt begins. A node that stays silent for longer than it may is given up by `abort`. */
  attempt(abort: (reason: string) => void): void {
    const { timeout, startTimeout } = this.version.config;
    this.sentAt = performance.now();
    this.guard = setTimeout(abort, timeout + startTimeout + SILENCE_MS, SILENT);
  }

  /** The attempt has ended, or its connection lives on without a deadline. */
  attempted(): void {
    clearTimeout(this.guard);
  }

  /** The node's head: the lines for the caller, or undefined where another node may take the request. */
  onHead(status: number, raw: string[]): string[] | undefined {
    const answer = readAnswer(raw);
    this.answer = answer;
    this.guard?.refresh();
    if (answer.notExecuted && WALK_ON.has(answer.error ?? '')) return undefined;
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
    if (this.prefix !== undefined) answer.kept = keepToPrefix(answer.kept, this.prefix, this.path);
    const lines = callerHeaders(answer, shown);
    if (this.cookie !== undefined) lines.push('Set-Cookie', this.cookie);
    return lines;
  }
}
