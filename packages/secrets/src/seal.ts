import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { SealedValue, SecretRevision } from '@kiln/contract/records/secrets';
import type { MasterKey } from './master-key.js';

const CIPHER = 'aes-256-gcm';
/** Random for each value. One key is safe for 2^32 values, and no cluster writes so many. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Encrypts a value. It opens only with this key, as this revision of this secret. */
export function seal(value: string, key: MasterKey, revision: SecretRevision): SealedValue {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key.key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(associated(revision, key));
  const data = Buffer.concat([cipher.update(value, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return { keyId: key.id, nonce: nonce.toString('base64'), data: data.toString('base64') };
}

/** Decrypts a value; undefined when it was changed, or belongs to another secret, revision or key. */
export function open(sealed: SealedValue, key: MasterKey, revision: SecretRevision): string | undefined {
  const nonce = Buffer.from(sealed.nonce, 'base64');
  const data = Buffer.from(sealed.data, 'base64');
  if (sealed.keyId !== key.id || nonce.length !== NONCE_BYTES || data.length < TAG_BYTES) return undefined;
  const decipher = createDecipheriv(CIPHER, key.key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(associated(revision, key));
  decipher.setAuthTag(data.subarray(-TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(data.subarray(0, -TAG_BYTES)), decipher.final()]).toString('utf8');
  } catch {
    return undefined;
  }
}

/** No name holds a NUL, so no two of these are the same. */
function associated({ name, revision }: SecretRevision, { id }: MasterKey): Buffer {
  return Buffer.from(`kiln secret\0${name}\0${revision}\0${id}`);
}
