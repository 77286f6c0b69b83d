import { KilnError } from '@kiln/contract/errors';
import type { VersionRecord } from '@kiln/contract/records';
import type { Pools } from '../pool/pools.js';

/** Lines of a start belong to no request. */
const NO_REQUEST = '';

export interface ProveParts {
  pools: Pools;
  /** Sees to it that the image is here, however long a pull takes. */
  ensureImage(image: string): Promise<unknown>;
  markReady(name: string, version: number): Promise<unknown>;
  markFailed(name: string, version: number, failure: { code: string; detail: string }): Promise<unknown>;
  /** Tells routers and nodes to look again. */
  announce(name: string): void;
}

/**
 * Starts one instance of a new version and writes down how that went. The instance stays, warm for the first request.
 * @throws KilnError `unavailable` where the store is away: then nothing is written and it is tried again
 */
export async function prove(version: VersionRecord, parts: ProveParts): Promise<void> {
  const { function: name, version: number } = version;
  const failure = await tryToStart(version, parts);
  if (failure === undefined) await parts.markReady(name, number);
  else await parts.markFailed(name, number, { code: failure.code, detail: failure.message });
  parts.announce(name);
}

async function tryToStart(version: VersionRecord, { pools, ensureImage }: ProveParts): Promise<KilnError | undefined> {
  try {
    await ensureImage(version.image);
    const pool = pools.of(version);
    const lease = pool.tryLease(NO_REQUEST) ?? (await pool.wait(NO_REQUEST).lease);
    lease.release();
    return undefined;
  } catch (error) {
    if (error instanceof KilnError) return error;
    return new KilnError('start_failed', (error as Error).message, { cause: error });
  }
}
