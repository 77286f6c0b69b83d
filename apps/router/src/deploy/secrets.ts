import { KilnError } from '@kiln/contract/errors';
import type { FunctionConfig } from '@kiln/contract/function-config';

/** @throws KilnError `bad_request` for secrets that are not stored: as yet none can be. */
export function refuseUnknownSecrets({ secrets }: FunctionConfig): void {
  if (secrets.length === 0) return;
  const fields = secrets.map((name, i) => ({ field: `config.secrets[${i}]`, message: `no such secret is stored: ${name}` }));
  throw new KilnError('bad_request', fields.map(({ field, message }) => `${field} ${message}`).join('; '), { fields });
}
