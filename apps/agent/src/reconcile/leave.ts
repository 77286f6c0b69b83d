import { setTimeout as delay } from 'node:timers/promises';
import type { Pools } from '@kiln/instances/pool/pools';
import type { NodeListener } from '../invoke/listen.js';
import type { Heartbeat } from './heartbeat.js';

/** For instances to be removed once nothing runs in them any more. */
const REMOVAL_MS = 20_000;
/** For the last word to the store. */
const STORE_MS = 1500;
const POLL_MS = 20;

export interface LeaveParts {
  heartbeat: Heartbeat;
  listener: NodeListener;
  pools: Pools;
  /** Tells routers to look again. */
  announce(): void;
  /** Takes this node out of the table. */
  leaveTable(): Promise<void>;
  onTrouble(message: string): void;
}

/** Takes no new work, finishes what runs within `timeoutMs`, removes the instances. The node stays a member, marked as draining. */
export async function drain({ heartbeat, listener, pools, announce, onTrouble }: LeaveParts, timeoutMs: number): Promise<void> {
  heartbeat.draining = true;
  const finished = listener.drain(timeoutMs);
  await Promise.race([heartbeat.send(), delay(STORE_MS)]);
  announce();
  await finished;
  pools.cut();
  const deadline = performance.now() + REMOVAL_MS;
  while (pools.living.size > 0 && performance.now() < deadline) await delay(POLL_MS);
  if (pools.living.size > 0) onTrouble(`${pools.living.size} instances were still there at the end of the drain`);
}

/** The same, and the node is no member any more from the first moment on. */
export async function leave(parts: LeaveParts, timeoutMs: number): Promise<void> {
  const drained = drain(parts, timeoutMs);
  await parts.heartbeat.stop();
  const left = await tryToLeave(parts);
  await drained;
  // The store may have been away for a moment only.
  if (!left && !(await tryToLeave(parts))) parts.onTrouble('the store does not know that this node left');
}

async function tryToLeave({ leaveTable, announce }: LeaveParts): Promise<boolean> {
  try {
    await leaveTable();
    announce();
    return true;
  } catch {
    return false;
  }
}
