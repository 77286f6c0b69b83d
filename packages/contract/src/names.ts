import { z } from 'zod';

/** The one rule for a function's name: also a DNS label, so that `<name>.<KILN_DOMAIN>` is a host. */
export const FUNCTION_NAME_PATTERN = /^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/;

const label = () =>
  z.string().regex(FUNCTION_NAME_PATTERN, 'must be 1 to 63 characters of a-z, 0-9 and -, start with a letter and not end with -');

export const functionName = label();

/** A node's id also names its engine network and labels, so it obeys the same rule as a function's name. */
export const nodeId = label();

/** What one repository deploys goes under one name, by the rule of a function's. */
export const projectName = label();

/** Names everything that a deployment depends on as its sender sees it: equal digests, equal sources and configuration. */
export const sourceDigest = z.string().regex(/^sha256:[0-9a-f]{64}$/, 'must be sha256: and 64 hex digits');

/** Versions are numbered 1, 2, 3 … per function. */
export const versionNumber = z.int().min(1).max(1_000_000_000);

export const REQUEST_ID_PATTERN = /^[A-Za-z0-9._:-]{1,128}$/;

/** Names of variables given to functions. `KILN_` is the platform's own and `PORT` comes from the configuration. */
export const variableName = z
  .string()
  .max(128)
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be letters, digits and _, not starting with a digit')
  .refine((name) => !name.startsWith('KILN_') && name !== 'PORT', 'is reserved: KILN_* and PORT are set by the platform')
  // As the key of an object it would be lost on the way.
  .refine((name) => name !== '__proto__', 'is no name');

/** The nearest name that a function may have. */
export function suggestName(text: string): string {
  const name = text
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^[^a-z]+/, '')
    .slice(0, 63)
    .replace(/-+$/, '');
  return name === '' ? 'my-function' : name;
}
