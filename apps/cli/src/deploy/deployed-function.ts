import type { KilnClient } from '@kiln/client/client';
import type { FunctionView } from '@kiln/contract/api/control-api';
import type { VersionRecord } from '@kiln/contract/records/records';
import { unless } from '../failure.js';

/** A function and its versions, read from the cluster. */
export interface DeployedFunction {
  function: FunctionView;
  /** In order of their numbers. */
  versions: readonly VersionRecord[];
}

/** @returns undefined when the cluster has no such function. @throws KilnError */
export async function readDeployed(client: KilnClient, name: string): Promise<DeployedFunction | undefined> {
  const asked = Promise.all([client.functions.get(name), client.versions.list(name)]);
  const found = await unless('function_not_found', asked);
  return found && { function: found[0], versions: found[1] };
}
