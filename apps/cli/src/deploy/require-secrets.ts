import type { KilnClient } from '@kiln/client/client';
import { KilnError } from '@kiln/contract/errors';
import type { PreparedFunction } from './prepare.js';

/**
 * Checks that all secrets of a function are stored, before the folder is sent and built.
 * @throws KilnError
 */
export async function requireSecrets(client: KilnClient, { config }: Pick<PreparedFunction, 'config'>): Promise<void> {
  const { secrets: wanted = [] } = config;
  if (wanted.length === 0) return;
  const stored = await client.secrets.list().catch((error: unknown) => {
    // This key may not list secrets; the deployment itself reports a missing one.
    if (error instanceof KilnError && error.code === 'forbidden') return undefined;
    throw error;
  });
  const missing = wanted.filter((name) => stored !== undefined && !stored.some((secret) => secret.name === name));
  if (missing.length === 0) return;
  throw new KilnError('bad_request', `kiln.json names ${missing.join(', ')} under "secrets", and no such secret is stored`, {
    fix: `store it: kiln secrets set ${missing[0]}`,
  });
}
