import { ERROR, INSTANCE, KILN_PREFIX, LOAD, NODE, NOT_EXECUTED, START, TIMING } from '@kiln/contract/wire/headers';
import { addConnectionNames, hasPrefix, is, isHopByHop, withoutNamed } from '@kiln/forward/headers/headers';
import type { Lease } from '@kiln/instances/instance/lease';

const FUNCTION_ERROR = 'function_error';

/** What a function answered, without what only means something on its own connection and without headers named like ours. */
export function functionHeaders(raw: readonly string[], keepFunctionError: boolean): string[] {
  const kept: string[] = [];
  let named: string[] | undefined;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!;
    const value = raw[i + 1]!;
    if (isHopByHop(name)) {
      if (is(name, 'connection')) named = addConnectionNames(named, value);
    } else if (!hasPrefix(name, KILN_PREFIX)) {
      kept.push(name, value);
    } else if (keepFunctionError && is(name, ERROR) && value === FUNCTION_ERROR) {
      kept.push(ERROR, value);
    }
  }
  return named === undefined ? kept : withoutNamed(kept, named);
}

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
