import type { KilnClient } from '@kiln/client/client';
import type { FunctionView } from '@kiln/contract/api/control-api';
import { KilnError } from '@kiln/contract/errors';
import type { VersionRecord } from '@kiln/contract/records/records';

/** A function and its versions, read from the cluster. */
export interface DeployedFunction {
  function: FunctionView;
  /** In order of their numbers. */
  versions: readonly VersionRecord[];
}

/** @returns undefined when the cluster has no such function. @throws KilnError */
export async function readDeployed(client: KilnClient, name: string): Promise<DeployedFunction | undefined> {
  try {
    const [found, versions] = await Promise.all([client.functions.get(name), client.versions.list(name)]);
    return { function: found, versions };
  } catch (error) {
    if (error instanceof KilnError && error.code === 'function_not_found') return undefined;
    throw error;
  }
}
