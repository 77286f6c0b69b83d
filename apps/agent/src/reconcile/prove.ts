import { type ErrorCode, KilnError } from '@kiln/contract/errors';
import type { VersionRecord } from '@kiln/contract/records/records';
import type { Instance } from '@kiln/instances/instance/instance';
import type { Pools } from '@kiln/instances/pool/pools';
import { isImageId } from '@kiln/registry/reference';
import { statusOf } from '../docker/deadline.js';

/** Lines of a start belong to no request. */
const NO_REQUEST = '';
const ENGINE_FAULT = 500;

/** What only the version itself can be the cause of. */
const OWN_FAILURES: ReadonlySet<ErrorCode> = new Set(['start_failed', 'start_timeout']);

export interface ProveParts {
  pools: Pools;
  /** Sees to it that the image is here, however long a pull takes. */
  ensureImage(image: string): Promise<unknown>;
  markReady(name: string, version: number): Promise<unknown>;
  markFailed(name: string, version: number, failure: { code: string; detail: string }): Promise<unknown>;
  /** This node could not start it: another may, or this one later. */
  noteRefusal(name: string, version: number, refusal: { code: string; detail: string }): Promise<unknown>;
  /** Tells routers and nodes to look again. */
  announce(name: string): void;
}

/** How a try went. `refused` says nothing of the version. */
export type ProofResult = { outcome: 'ready' } | { outcome: 'failed' | 'refused'; error: KilnError };

/**
 * Starts one instance of a new version and writes down how that went. The instance stays, warm for the first request.
 * @throws KilnError `unavailable` where the store is away: then nothing is written and it is tried again
 */
export async function prove(version: VersionRecord, parts: ProveParts): Promise<ProofResult['outcome']> {
  const { function: name, version: number } = version;
  const proof = await tryToStart(version, parts);
  if (proof.outcome === 'ready') await parts.markReady(name, number);
  else {
    const told = { code: proof.error.code, detail: proof.error.message };
    await (proof.outcome === 'failed' ? parts.markFailed(name, number, told) : parts.noteRefusal(name, number, told));
  }
  parts.announce(name);
  return proof.outcome;
}

async function tryToStart(version: VersionRecord, { pools, ensureImage }: ProveParts): Promise<ProofResult> {
  try {
    await ensureImage(version.image);
  } catch (error) {
    const told = asKilnError(error);
    return { outcome: isLost(version, told) ? 'failed' : 'refused', error: told };
  }
  const pool = pools.of(version);
  try {
    const lease = pool.tryLease(NO_REQUEST) ?? (await pool.wait(NO_REQUEST).lease);
    lease.release();
    return { outcome: 'ready' };
  } catch (error) {
    const told = asKilnError(error);
    // One without a container waits for the node or its engine: then it had no time of its own yet.
    const neverBegun = told.code === 'start_timeout' && [...pool.instances].some(hasNoContainer);
    const isOwn = OWN_FAILURES.has(told.code) && !neverBegun && !isEngineFault(told);
    return { outcome: isOwn ? 'failed' : 'refused', error: told };
  }
}

/**
 * An image that was built on this node and is gone. One by reference may be had by another node, or later; and a version that came
 * from another node was built there.
 */
function isLost({ image, provingNode, refusal }: VersionRecord, { code }: KilnError): boolean {
  const cameFromElsewhere = refusal !== undefined && refusal.node !== provingNode;
  return isImageId(image) && code === 'start_failed' && !cameFromElsewhere;
}

function hasNoContainer({ state, container }: Instance): boolean {
  return (state === 'created' || state === 'starting') && container === undefined;
}

/** What the engine says of a program that cannot be run is a refusal of the request, not a failure of its own. */
function isEngineFault({ cause }: KilnError): boolean {
  return (statusOf(cause) ?? 0) >= ENGINE_FAULT;
}

function asKilnError(error: unknown): KilnError {
  return error instanceof KilnError ? error : new KilnError('start_failed', (error as Error).message, { cause: error });
}
