import { INSTANCE, LOAD, NODE, NOT_EXECUTED, START, TIMING } from '@kiln/contract/wire/headers';
import type { Lease } from '@kiln/instances/instance/lease';

/** What the node says of an answer that came from, or failed in, an instance. */
export function leaseHeaders(node: string, load: number, lease: Lease, now: number): string[] {
  const { start, queueMs, startMs } = lease.waited;
  const timing = `${ms(queueMs)};${ms(startMs)};${ms(now - lease.since)}`;
  return [NODE, node, INSTANCE, lease.instance.id, START, start, TIMING, timing, LOAD, String(load)];
}

/** What it says of a request that reached no instance. */
export function refusalHeaders(node: string, load: number): string[] {
  return [NODE, node, LOAD, String(load), NOT_EXECUTED, '1'];
}

function ms(value: number): string {
  return value === 0 ? '0' : String(Math.round(value * 100) / 100);
}
