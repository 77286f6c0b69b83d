import { type ErrorCode, KilnError } from '@kiln/contract/errors';
import type { VersionRecord } from '@kiln/contract/records/records';
import { statusOf } from '@kiln/engine/engine-error';
import type { Instance } from '@kiln/instances/instance/instance';
import type { Pools } from '@kiln/instances/pool/pools';
import { isImageId } from '@kiln/registry/reference';

/** The log lines of a start belong to no request. */
const NO_REQUEST = '';
const ENGINE_FAULT = 500;

/** Errors of which only the version itself can be the cause. */
const OWN_FAILURES: ReadonlySet<ErrorCode> = new Set(['start_failed', 'start_timeout']);

type Told = NonNullable<VersionRecord['failure']>;

export interface ProveParts {
  pools: Pools;
  /** Finds the image or pulls it, however long that takes. */
  ensureImage(image: string): Promise<unknown>;
  markReady(name: string, version: number): Promise<unknown>;
  markFailed(name: string, version: number, failure: Told): Promise<unknown>;
  /** Stores that this node could not start it: another node may, or this one later. */
  noteRefusal(name: string, version: number, refusal: Told): Promise<unknown>;
  /** Tells routers and nodes to refresh. */
  announce(name: string): void;
}

/** Why an attempt failed. Where it is not the version's own fault, it is the node's. */
interface Failure {
  isOwn: boolean;
  error: KilnError;
}

/** Starts one instance, which stays warm, and stores the result. @throws KilnError `unavailable`: nothing is stored, it is tried again */
export async function prove(version: VersionRecord, parts: ProveParts): Promise<void> {
  const { function: name, version: number } = version;
  const failure = await tryToStart(version, parts);
  if (failure === undefined) await parts.markReady(name, number);
  else {
    const { code, message: detail, fix } = failure.error;
    const reason = { code, detail, fix };
    await (failure.isOwn ? parts.markFailed(name, number, reason) : parts.noteRefusal(name, number, reason));
  }
  parts.announce(name);
}

async function tryToStart(version: VersionRecord, { pools, ensureImage }: ProveParts): Promise<Failure | undefined> {
  try {
    await ensureImage(version.image);
  } catch (error) {
    const reason = asKilnError(error);
    return { isOwn: isLost(version, reason), error: reason };
  }
  const pool = pools.of(version);
  try {
    const lease = pool.tryLease(NO_REQUEST) ?? (await pool.wait(NO_REQUEST).lease);
    lease.release();
    return undefined;
  } catch (error) {
    const reason = asKilnError(error);
    // An instance without a container waited for the node or its engine, so the timeout is not the version's fault.
    const neverBegan = reason.code === 'start_timeout' && [...pool.instances].some(hasNoContainer);
    return { isOwn: OWN_FAILURES.has(reason.code) && !neverBegan && !isEngineFault(reason), error: reason };
  }
}

/** Whether the image was built here and is gone. One with a reference may be pulled later; that of a version from elsewhere is there. */
function isLost({ image, provingNode, refusal }: VersionRecord, { code }: KilnError): boolean {
  const cameFromElsewhere = refusal !== undefined && refusal.node !== provingNode;
  return isImageId(image) && code === 'start_failed' && !cameFromElsewhere;
}

function hasNoContainer({ state, container }: Instance): boolean {
  return (state === 'created' || state === 'starting') && container === undefined;
}

/** A failure of the engine itself; for a program that cannot run, the engine refuses the request with a lower status. */
function isEngineFault({ cause }: KilnError): boolean {
  return (statusOf(cause) ?? 0) >= ENGINE_FAULT;
}

function asKilnError(error: unknown): KilnError {
  return error instanceof KilnError ? error : new KilnError('start_failed', (error as Error).message, { cause: error });
}
