import { readFileSync, statSync } from 'node:fs';
import { type BuildSecrets, buildSecretId, buildSecrets, MAX_BUILD_SECRET_BYTES } from '@kiln/contract/api/build-secrets';
import { InvalidArgumentError } from 'commander';

/** The option, for the commands that build. */
export const BUILD_SECRET = [
  '--build-secret <id=file>',
  'a file for build steps that mount this id, and for installs: npmrc, netrc, pip.conf, yarnrc.yml; may be repeated; stays out of the image',
] as const;

/** Adds one `id=FILE`. Takes no value: every process of the machine could read it from the command line. */
export function addBuildSecret(text: string, before: BuildSecrets = {}): BuildSecrets {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('It must be id=FILE.');
  const id = buildSecretId.safeParse(text.slice(0, at));
  if (!id.success) throw new InvalidArgumentError(`Its id ${id.error.issues[0]?.message}.`);
  const parsed = buildSecrets.safeParse({ ...before, [id.data]: read(text.slice(at + 1)).toString('base64') });
  if (!parsed.success) throw new InvalidArgumentError(`It ${parsed.error.issues[0]?.message ?? 'is wrong'}.`);
  return parsed.data;
}

function read(file: string): Buffer {
  try {
    if (statSync(file).size > MAX_BUILD_SECRET_BYTES) throw new Error(`it is larger than ${MAX_BUILD_SECRET_BYTES} bytes`);
    return readFileSync(file);
  } catch (error) {
    throw new InvalidArgumentError(`${file} can't be read: ${(error as Error).message}.`);
  }
}
