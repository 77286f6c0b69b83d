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

/** Which of the placement headers callers see, beside the request id, the version and the timing. */
export interface Shown {
  requestId: string;
  version: number;
  routeMs: number;
  placement: boolean;
}

/** The header lines that the caller gets. */
export function callerHeaders(answer: AgentAnswer, { requestId, version, routeMs, placement }: Shown): string[] {
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
