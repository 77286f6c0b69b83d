import type { KilnClient } from '@kiln/client/client';
import { KilnError } from '@kiln/contract/errors';
import type { PreparedFunction } from './prepare.js';

/**
 * A version can't be made with a secret that nobody has stored: said before the folder is sent and built.
 * @throws KilnError
 */
export async function requireSecrets(client: KilnClient, { config }: Pick<PreparedFunction, 'config'>): Promise<void> {
  const { secrets: wanted = [] } = config;
  if (wanted.length === 0) return;
  const stored = await client.secrets.list().catch((error: unknown) => {
    // Not every key may list them: then the deployment itself says so.
    if (error instanceof KilnError && error.code === 'forbidden') return undefined;
    throw error;
  });
  const missing = wanted.filter((name) => stored !== undefined && !stored.some((secret) => secret.name === name));
  if (missing.length === 0) return;
  throw new KilnError('bad_request', `kiln.json names ${missing.join(', ')} under "secrets", and no such secret is stored`, {
    fix: `store it: kiln secrets set ${missing[0]}`,
  });
}
