import { z } from 'zod';
import { functionName, variableName, versionNumber } from '../names.js';
import { recordSchema, stored } from '../stored.js';

const MAX_VALUE_BYTES = 64 * 1024;
/** Named by one function, or changed at once: few enough for one page of JSON. */
const MAX_SECRETS_AT_ONCE = 100;

const time = z.iso.datetime();

/** Counts 1, 2, 3 … per secret; never given twice, not even after a removal. */
const revision = z.int().min(1).max(1_000_000_000);

/** A secret as everybody may see it: never its value. */
export const secretRecord = stored({ ...recordSchema, name: variableName, revision, createdAt: time, updatedAt: time }).meta({
  id: 'Secret',
});
export type SecretRecord = z.infer<typeof secretRecord>;

/** Which revision of each of its secrets a version was made with. */
export const secretRevisions = z.record(variableName, revision);
export type SecretRevisions = z.infer<typeof secretRevisions>;

/** One revision of a secret. */
export interface SecretRevision {
  name: string;
  revision: number;
}

const secretValue = z
  .string()
  .min(1, 'must not be empty')
  .refine((value) => new TextEncoder().encode(value).length <= MAX_VALUE_BYTES, `must be at most ${MAX_VALUE_BYTES} bytes`)
  .refine((value) => !value.includes('\0'), 'must not contain NUL')
  .refine((value) => value.isWellFormed(), 'must be well-formed text');

/** `PUT /v1/secrets/:name` */
export const setSecretBody = z.strictObject({ value: secretValue }).meta({ id: 'SetSecret' });

/** `PATCH /v1/secrets`: several in one change. */
export const setSecretsBody = z
  .strictObject({
    values: z
      .record(variableName, secretValue)
      .refine((values) => Object.keys(values).length > 0, 'must name at least one secret')
      .refine((values) => Object.keys(values).length <= MAX_SECRETS_AT_ONCE, `must be at most ${MAX_SECRETS_AT_ONCE} secrets`),
  })
  .meta({ id: 'SetSecrets' });

/** A function that serves with the new revisions from now on, or why it still serves with the old ones. */
const renewedFunction = z.union([
  z.object({ function: functionName, versions: z.array(versionNumber) }),
  z.object({ function: functionName, failed: z.object({ code: z.string(), detail: z.string() }) }),
]);
export type RenewedFunction = z.infer<typeof renewedFunction>;

/** What was stored, and what became of the functions that use it. */
export const secretsSet = z.object({ secrets: z.array(secretRecord), functions: z.array(renewedFunction) }).meta({ id: 'SecretsSet' });
export type SecretsSet = z.infer<typeof secretsSet>;

/** `POST /v1/secrets/rotate` */
export const secretsRotated = z
  .object({
    /** Of the master key that every value is sealed with now. */
    keyId: z.string(),
    /** How many values were sealed anew. */
    resealed: z.int(),
    /** Revisions that no key at hand opens, as `NAME@3`. */
    unreadable: z.array(z.string()),
  })
  .meta({ id: 'SecretsRotated' });
export type SecretsRotated = z.infer<typeof secretsRotated>;

/** A value as it is stored: AES-256-GCM, in base64, the tag at the end of `data`. */
export const sealedValue = stored({ ...recordSchema, keyId: z.string(), nonce: z.string(), data: z.string() });
export type SealedValue = z.infer<typeof sealedValue>;

/** Which master key the cluster's secrets are sealed with; while keys are changed, also the one before. */
export const masterKeyRecord = stored({ ...recordSchema, keyId: z.string(), previousKeyId: z.string().optional() });
export type MasterKeyRecord = z.infer<typeof masterKeyRecord>;
