import { z } from 'zod';
import { BUILD_SECRETS } from '../wire/headers.js';

const MAX_SECRETS = 16;
/** A header's worth: all that passes them on takes headers of 16 KiB. */
export const MAX_BUILD_SECRET_BYTES = 8192;

/** What a step of a Dockerfile asks for by `--mount=type=secret,id=…`. */
export const buildSecretId = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/, 'must be letters, digits, _, . and -, at most 64, starting with a letter or a digit');

/** Contents in base64, by id. */
export const buildSecrets = z
  .record(buildSecretId, z.base64('must be base64'))
  .refine((secrets) => Object.keys(secrets).length <= MAX_SECRETS, `must be at most ${MAX_SECRETS} secrets`)
  .refine((secrets) => bytesOf(secrets) <= MAX_BUILD_SECRET_BYTES, `must be at most ${MAX_BUILD_SECRET_BYTES} bytes in all`);
export type BuildSecrets = z.infer<typeof buildSecrets>;

/** The same in a header, which no address, and so no log of addresses, ever holds: `id=base64,id=base64`. */
export const buildSecretsHeader = z
  .string()
  .max(2 * MAX_BUILD_SECRET_BYTES, 'is too long')
  .transform((text) => Object.fromEntries(text.split(',').map((pair) => splitAt(pair, pair.indexOf('=')))))
  .pipe(buildSecrets);

/** The header that holds them; none for none. */
export function buildSecretsHeaders(secrets: BuildSecrets): Record<string, string> {
  const pairs = Object.entries(secrets).map(([id, content]) => `${id}=${content}`);
  return pairs.length === 0 ? {} : { [BUILD_SECRETS]: pairs.join(',') };
}

function splitAt(text: string, at: number): [string, string] {
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

function bytesOf(secrets: Record<string, string>): number {
  return Object.values(secrets).reduce((sum, content) => sum + Math.floor((lengthWithoutPadding(content) * 3) / 4), 0);
}

function lengthWithoutPadding(base64: string): number {
  let end = base64.length;
  while (end > 0 && base64.charCodeAt(end - 1) === 61) end--;
  return end;
}
