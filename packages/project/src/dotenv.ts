import { parseEnv } from 'node:util';
import type { FunctionConfigInput } from '@kiln/contract/config/function-config';

export const DOTENV = '.env';
/** Larger ones hold no variables. */
export const MAX_DOTENV_BYTES = 1024 * 1024;
const SHOWN = 10;
/** Of one letter case. A line of a key that somebody wrote without quotes may look like another name, and is secret. */
const NAME = /^([A-Z][A-Z0-9_]{0,63}|[a-z][a-z0-9_]{0,63})$/;

/**
 * What to say of a `.env` that is not sent: names of its variables that the configuration does not set, never their values.
 * Undefined where it sets all of them.
 */
export function dotenvNote(text: string, { env = {}, secrets = [] }: FunctionConfigInput): string | undefined {
  const unset = Object.keys(parseEnv(text)).filter((name) => !(name in env) && !secrets.includes(name));
  if (unset.length === 0) return undefined;
  const names = unset.filter((name) => NAME.test(name)).slice(0, SHOWN);
  const more = unset.length - names.length;
  const listed = [...names, ...(more > 0 ? [`${more} more`] : [])].join(', ');
  return `${DOTENV} is not sent, and kiln.json does not set ${listed}: write them under "env", or store them (kiln secrets import ${DOTENV}) and name them under "secrets"`;
}
