import type { Outcome } from '@kiln/forward/exchange/forward';
import type { WorkTracker } from '../instance/access.js';
import type { Instance, Lease } from '../instance/instance.js';
import type { InstancePool } from '../pool/instance-pool.js';

/** For work of which nobody says when it ends, in an instance that runs one request at a time, and for work whose time is over. */
export const WORK_GRACE_MS = 5000;

/**
 * The lease of an exchange that has ended lasts until the work does: two requests must not meet in an instance that runs one at a
 * time. The instance that does not end its work in time is replaced; so is, after a grace, the one that runs one request at a time
 * and cannot say. Where it cannot say and runs several, the closed connection is the end.
 * @param leftMs that a request's work may still take; a connection of another protocol has the function's whole time for its last work
 */
export async function untilWorkEnds(
  lease: Lease,
  pool: InstancePool,
  connection: WorkTracker,
  outcome: Outcome,
  leftMs: number,
): Promise<void> {
  const { instance } = lease;
  if (instance.condemned || !mayWorkOn(outcome, instance)) return;
  const { timeout, concurrency } = pool.version.config;
  const ended = connection.workEnded(Math.max(outcome.kind === 'relayed' ? timeout : leftMs, WORK_GRACE_MS));
  if (ended !== undefined) {
    if (!(await ended)) pool.condemn(instance);
  } else if (concurrency === 1 && outcome.kind !== 'relayed') {
    await graceOf(lease);
    pool.condemn(instance);
  }
}

/** An exchange has ended, and the function may still be at work on it. */
function mayWorkOn(outcome: Outcome, { access }: Instance): boolean {
  switch (outcome.kind) {
    case 'client_gone':
      return !outcome.over;
    case 'relayed':
      // Where nobody can say, the end of a switched connection is the end of the work.
      return outcome.status === 101 && access?.saysWorkEnds === true;
    case 'withheld':
    case 'not_sent':
      return false;
    case 'broken':
    case 'aborted':
    case 'body_too_large':
      return true;
  }
}

/** Ends early with the instance. */
function graceOf({ instance }: Lease): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, WORK_GRACE_MS);
    void instance.container?.exited.then(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
