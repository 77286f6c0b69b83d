import type { KilnClient } from '@kiln/client/client';
import type { FunctionView } from '@kiln/contract/api/control-api';
import { concurrently } from '../concurrently.js';
import { type Check, failedCheck, ok, warning } from './check.js';

const AT_ONCE = 8;

/** Looks on the nodes for the image of every version that has traffic: somebody else may have cleaned up. */
export async function checkImages(client: KilnClient, functions: readonly FunctionView[]): Promise<Check[]> {
  const serving = functions.flatMap(({ name, traffic }) =>
    traffic.filter(({ weight }) => weight > 0).map(({ version }) => ({ name, version })),
  );
  const lost = await concurrently(serving, { limit: AT_ONCE }, ({ name, version }) => client.versions.isImageLost(name, version));
  const gone = serving.filter((_each, i) => lost[i]);
  if (gone.length === 0 && lost.includes(undefined))
    return [warning('images', 'whether a function has lost its image cannot be found out', 'kiln nodes ls')];
  if (gone.length === 0) return [ok('images', 'no function has lost its image')];
  return gone.map(({ name, version }) =>
    failedCheck(name, `it cannot start: the image of its version ${version} is gone from its nodes`, 'kiln deploy'),
  );
}
