import {
  ERROR,
  INSTANCE,
  KILN_PREFIX,
  LOAD,
  NODE,
  NOT_EXECUTED,
  REQUEST_ID,
  START,
  type StartKind,
  TIMING,
  VERSION,
} from '@kiln/contract/wire/headers';
import { addConnectionNames, hasPrefix, is, isHopByHop, withoutNamed } from '@kiln/forward/headers/headers';

/** The head of a node's answer, read in one pass: what goes to the caller, and what the node said to us. */
export class AgentAnswer {
  kept: string[] = [];
  node: string | undefined;
  instance: string | undefined;
  start: StartKind | undefined;
  /** The code of an error that the node made, or the runner. */
  error: string | undefined;
  notExecuted = false;
  load: number | undefined;
  queueMs = 0;
  startMs = 0;
  execMs = 0;
}

/** Reads the header lines of a node's answer. */
export function readAnswer(raw: readonly string[]): AgentAnswer {
  const answer = new AgentAnswer();
  const { kept } = answer;
  let named: string[] | undefined;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!;
    const value = raw[i + 1]!;
    if (isHopByHop(name)) {
      if (is(name, 'connection')) named = addConnectionNames(named, value);
    } else if (hasPrefix(name, KILN_PREFIX)) {
      take(answer, name, value);
    } else if (!is(name, REQUEST_ID)) {
      kept.push(name, value);
    }
  }
  if (named !== undefined) answer.kept = withoutNamed(kept, named);
  return answer;
}

function take(answer: AgentAnswer, name: string, value: string): void {
  switch (name) {
    case NODE:
      answer.node = value;
      break;
    case INSTANCE:
      answer.instance = value;
      break;
    case START:
      answer.start = value as StartKind;
      break;
    case ERROR:
      answer.error = value;
      break;
    case NOT_EXECUTED:
      answer.notExecuted = value === '1';
      break;
    case LOAD:
      answer.load = number(value);
      break;
    case TIMING:
      takeTiming(answer, value);
      break;
  }
}

function takeTiming(answer: AgentAnswer, value: string): void {
  const [queue, start, exec] = value.split(';');
  answer.queueMs = number(queue);
  answer.startMs = number(start);
  answer.execMs = number(exec);
}

function number(text: string | undefined): number {
  const value = Number(text);
  return Number.isFinite(value) && value >= 0 ? value : 0;
}

/** The header lines that the caller gets. @param placement whether callers see which node and instance answered */
export function callerHeaders(answer: AgentAnswer, requestId: string, version: number, routeMs: number, placement: boolean): string[] {
  const headers = answer.kept;
  headers.push(REQUEST_ID, requestId, VERSION, String(version));
  if (answer.error !== undefined) headers.push(ERROR, answer.error);
  if (placement) {
    if (answer.node !== undefined) headers.push(NODE, answer.node);
    if (answer.instance !== undefined) headers.push(INSTANCE, answer.instance);
    if (answer.start !== undefined) headers.push(START, answer.start);
  }
  const { queueMs, startMs, execMs } = answer;
  headers.push('server-timing', `route;dur=${routeMs.toFixed(2)}, queue;dur=${queueMs}, start;dur=${startMs}, exec;dur=${execMs}`);
  return headers;
}

/** Browsers pass over an attribute that is longer, and take the default path. */
const MAX_ATTRIBUTE_CHARS = 1024;

/**
 * The header lines of an answer by path, kept to the function's own prefix. Under `/fn/<name>/` all functions share one web origin. What a
 * function's answer may say about itself must not reach the others: its cookies are kept below its own prefix, and fields that speak for
 * the whole origin are dropped. A page's scripts still share the origin; only a host of its own separates them (SECURITY.md).
 * @param lines name, value, name, value …; changed in place where nothing must be dropped
 * @param prefix as `/fn/hello` or `/fn/hello@2`
 * @param hasSlash whether a slash followed it
 */
export function keepToPrefix(lines: string[], prefix: string, hasSlash: boolean): string[] {
  let kept = lines;
  for (let i = 0; i < lines.length; i += 2) {
    const name = lines[i]!;
    if (kept !== lines) kept.push(name, lines[i + 1]!);
    if (!mayConcern(name)) continue;
    const lower = name.toLowerCase();
    if (lower === 'set-cookie') kept[kept === lines ? i + 1 : kept.length - 1] = cookieBelow(lines[i + 1]!, prefix, hasSlash);
    else if (OF_THE_ORIGIN.has(lower)) {
      if (kept === lines) kept = lines.slice(0, i);
      else kept.length -= 2;
    }
  }
  return kept;
}

/** Fields by which one answer sets something for every path of its origin, in browsers that know them. */
const OF_THE_ORIGIN: ReadonlySet<string> = new Set([
  'accept-ch',
  'alt-svc',
  'clear-site-data',
  'critical-ch',
  'expect-ct',
  'nel',
  'origin-agent-cluster',
  'public-key-pins',
  'public-key-pins-report-only',
  'report-to',
  'service-worker-allowed',
  'set-cookie2',
  'set-login',
  'strict-transport-security',
  'use-as-dictionary',
]);
const LENGTHS: ReadonlySet<number> = new Set([...OF_THE_ORIGIN, 'set-cookie'].map(({ length }) => length));

/** Cheap, for the many lines that are none of these. */
function mayConcern({ length }: string): boolean {
  return LENGTHS.has(length);
}

/**
 * A `Set-Cookie` value for the prefix and what lies below it, without a `Domain`. RFC 6265 section 5.2: the last `Path` counts, and one
 * that starts with no slash means the default path, the folder of the page, which lies below the prefix unless no slash follows that.
 */
export function cookieBelow(cookie: string, prefix: string, hasSlash: boolean): string {
  const parts = cookie.split(';');
  const kept = [parts[0]!];
  let path: string | undefined;
  for (let i = 1; i < parts.length; i++) {
    const part = parts[i]!;
    const equals = part.indexOf('=');
    const name = (equals < 0 ? part : part.slice(0, equals)).trim().toLowerCase();
    if (name === 'path') path = equals < 0 ? '' : part.slice(equals + 1).trim();
    else if (name !== 'domain') kept.push(part);
  }
  if (path?.startsWith('/')) {
    const below = path === prefix || path.startsWith(`${prefix}/`) ? path : prefix + path;
    kept.push(` Path=${below.length > MAX_ATTRIBUTE_CHARS ? `${prefix}/` : below}`);
  } else if (!hasSlash) kept.push(` Path=${prefix}/`);
  return kept.join(';');
}
