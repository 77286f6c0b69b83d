import { createHash, createSecretKey, type KeyObject } from 'node:crypto';
import { z } from 'zod';

const KEY_BYTES = 32;
const ID_CHARS = 12;
const HEX = /^[0-9a-fA-F]{64}$/;
const BASE64 = /^[A-Za-z0-9+/]{43}=?$/;
export const MASTER_KEY_RULE = 'must be 32 bytes, written in base64 (44 characters) or hex (64)';

/** What secrets are sealed with. The key itself is an object that neither a log nor JSON shows. */
export interface MasterKey {
  /** A short hash of it: says which key it is and nothing else. */
  readonly id: string;
  readonly key: KeyObject;
}

/** The keys that a process was given. */
export interface MasterKeys {
  readonly own: MasterKey;
  /** While keys are changed: the one before. */
  readonly previous: MasterKey | undefined;
  /** The variable or file that `own` came from. */
  readonly source: string;
}

/** A key as it stands in a variable or a file; undefined for what is none. */
export function parseMasterKey(text: string): MasterKey | undefined {
  const trimmed = text.trim();
  if (!HEX.test(trimmed) && !BASE64.test(trimmed)) return undefined;
  const bytes = Buffer.from(trimmed, HEX.test(trimmed) ? 'hex' : 'base64');
  if (bytes.length !== KEY_BYTES) return undefined;
  const id = createHash('sha256').update('kiln master key\0').update(bytes).digest('hex').slice(0, ID_CHARS);
  return { id, key: createSecretKey(bytes) };
}

/** As a variable of the environment. */
export const masterKeyText = z
  .string()
  .refine((text) => parseMasterKey(text) !== undefined, MASTER_KEY_RULE)
  .meta({ secret: true });

/** The one with this id, where it is at hand. */
export function keyOf(keys: MasterKeys | undefined, id: string): MasterKey | undefined {
  return [keys?.own, keys?.previous].find((key) => key?.id === id);
}

export function keyIds(keys: MasterKeys | undefined): string[] {
  return [keys?.own, keys?.previous].flatMap((key) => (key === undefined ? [] : [key.id]));
}
