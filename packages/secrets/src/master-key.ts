import { createHash, createSecretKey, type KeyObject } from 'node:crypto';
import { z } from 'zod';

const KEY_BYTES = 32;
const ID_CHARS = 12;
const HEX = /^[0-9a-fA-F]{64}$/;
const BASE64 = /^[A-Za-z0-9+/]{43}=?$/;
export const MASTER_KEY_RULE = 'must be 32 bytes, written in base64 (44 characters) or hex (64)';

/** The key that seals secrets. It is an object that neither a log nor JSON shows. */
export interface MasterKey {
  /** A short hash that identifies the key and reveals nothing else. */
  readonly id: string;
  readonly key: KeyObject;
}

/** The keys that a process was given. */
export interface MasterKeys {
  readonly own: MasterKey;
  /** The key before, during a change of keys. */
  readonly previous: MasterKey | undefined;
  /** The variable or file of `own`. */
  readonly source: string;
}

/** Reads a key from the text of a variable or a file; undefined for anything else. */
export function parseMasterKey(text: string): MasterKey | undefined {
  const trimmed = text.trim();
  if (!HEX.test(trimmed) && !BASE64.test(trimmed)) return undefined;
  const bytes = Buffer.from(trimmed, HEX.test(trimmed) ? 'hex' : 'base64');
  if (bytes.length !== KEY_BYTES) return undefined;
  const id = createHash('sha256').update('kiln master key\0').update(bytes).digest('hex').slice(0, ID_CHARS);
  return { id, key: createSecretKey(bytes) };
}

/** The schema of the environment variable. */
export const masterKeyText = z
  .string()
  .refine((text) => parseMasterKey(text) !== undefined, MASTER_KEY_RULE)
  .meta({ secret: true });

/** The key with this id, if the process has it. */
export function keyOf(keys: MasterKeys | undefined, id: string): MasterKey | undefined {
  return [keys?.own, keys?.previous].find((key) => key?.id === id);
}

export function keyIds(keys: MasterKeys | undefined): string[] {
  return [keys?.own, keys?.previous].flatMap((key) => (key === undefined ? [] : [key.id]));
}
