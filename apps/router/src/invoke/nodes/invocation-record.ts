import type { StartKind } from '@kiln/contract/wire/headers';

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
  status: number;
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

/** The record of an invocation that has just come in. */
export function newRecord(requestId: string, method: string): InvocationRecord {
  return {
    requestId,
    function: '',
    version: 0,
    method,
    status: 0,
    end: 'refused',
    code: undefined,
    node: undefined,
    instance: undefined,
    start: undefined,
    attempts: 0,
    startedAt: Date.now(),
    routeMs: 0,
    queueMs: 0,
    startMs: 0,
    execMs: 0,
    totalMs: 0,
    requestBytes: 0,
  };
}
