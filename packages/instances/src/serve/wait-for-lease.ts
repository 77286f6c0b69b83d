import type { Downstream } from '@kiln/forward/server/downstream';
import type { Lease } from '../instance/instance.js';
import type { InstancePool } from '../pool/instance-pool.js';

/**
 * A place in the version's queue until there is a lease. Undefined where the client left meanwhile: then nothing is held.
 * @throws KilnError; nothing was executed
 */
export async function waitForLease(
  pool: InstancePool,
  requestId: string,
  client: Pick<Downstream, 'gone' | 'onGone' | 'offGone'>,
): Promise<Lease | undefined> {
  if (client.gone) return undefined;
  const waiting = pool.wait(requestId);
  const gone = Promise.withResolvers<undefined>();
  const onClose = () => gone.resolve(undefined);
  client.onGone(onClose);
  try {
    const lease = await Promise.race([waiting.lease, gone.promise]);
    if (lease !== undefined && !client.gone) return lease;
    waiting.cancel();
    // It may have been granted in this very moment.
    waiting.lease.then(
      (granted) => granted.release(),
      () => undefined,
    );
    return undefined;
  } finally {
    client.offGone(onClose);
  }
}
