import type { FunctionRecord } from '@kiln/contract/records/records';
import type { Traffic } from '@kiln/contract/records/traffic';
import type { FunctionStore, TrafficOptions } from '@kiln/state/functions/function-store';
import type { Announcer } from '../view/announcer.js';

export interface PointerParts {
  functions: FunctionStore;
  announcer: Announcer;
}

/** Moves a function's traffic to versions that are ready. @throws KilnError, and nothing has changed */
export async function putTraffic(
  { functions, announcer }: PointerParts,
  name: string,
  traffic: Traffic,
  options: TrafficOptions = {},
): Promise<FunctionRecord> {
  const record = await functions.setTraffic(name, traffic, options);
  await announcer.functionChanged(name);
  return record;
}
