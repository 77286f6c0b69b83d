import type { KilnClient } from '@kiln/client/client';
import { KilnError } from '@kiln/contract/errors';
import { unless } from '../failure.js';
import type { PreparedFunction } from './prepare.js';

/** Checks that all secrets of a function are stored, before the folder is sent and built. @throws KilnError */
export async function requireSecrets(client: KilnClient, { config }: PreparedFunction): Promise<void> {
  const { secrets: wanted = [] } = config;
  if (wanted.length === 0) return;
  // A key that may not list secrets gets none; the deployment itself reports a missing one.
  const stored = await unless('forbidden', client.secrets.list());
  const missing = wanted.filter((name) => stored !== undefined && !stored.some((secret) => secret.name === name));
  if (missing.length === 0) return;
  const message = `kiln.json names ${missing.join(', ')} under "secrets", and no such secret is stored`;
  throw new KilnError('bad_request', message, { fix: `store it: kiln secrets set ${missing[0]}` });
}
