/** Every header of ours starts so; a client's own are dropped at the door, a function's own on the way out. */
export const KILN_PREFIX = 'x-kiln-';

/** On a function's answer to its caller. */
export const REQUEST_ID = 'x-request-id';
export const VERSION = 'x-kiln-version';
export const NODE = 'x-kiln-node';
export const INSTANCE = 'x-kiln-instance';
export const START = 'x-kiln-start';
export const ERROR = 'x-kiln-error';

export type StartKind = 'warm' | 'thawed' | 'spare' | 'cold';

/** Router to agent only: the caller proves that it belongs to the cluster, and names what to run. */
export const SECRET = 'x-kiln-secret';
export const FUNCTION = 'x-kiln-function';

/**
 * Router to agent: "say when you hold a lease". The agent answers `102 Processing` at that moment, which is the router's
 * leave to send a body that it can no longer send twice, and to answer a caller's `Expect: 100-continue`.
 */
export const NOTIFY_LEASE = 'x-kiln-notify-lease';

/** Agent to runner, with the first request on a connection: the number by which the runner names it when work on it has ended. */
export const CONNECTION = 'x-kiln-connection';

/**
 * Agent to router, as an interim answer: the request waits, for a lease or for what is known of its version. `102 Processing` follows when
 * it has got its lease. Without this the function's time counts from the arrival.
 */
export const WAITING = 110;

/**
 * Where an agent's data door says that it answers, to anyone: a GET without FUNCTION. The asker may name in NODE whom it means; another
 * node answers 421, one that is draining 503. Neither secret nor queue is in its way.
 */
export const HEALTH_PATH = '/healthz';

/** Agent to router: nothing of this request reached an instance, so it may be sent elsewhere, whatever its method. */
export const NOT_EXECUTED = 'x-kiln-not-executed';

/** Agent to router: `queue;start;exec` in ms with up to two decimals. */
export const TIMING = 'x-kiln-timing';

/** Agent to router: the node's load in busy instances (a lease counts 1/concurrency). */
export const LOAD = 'x-kiln-load';

/** Caller to router to agent: what the steps of a build may read and no image keeps, as `build-secrets.ts` writes it. */
export const BUILD_SECRETS = 'x-kiln-build-secrets';
