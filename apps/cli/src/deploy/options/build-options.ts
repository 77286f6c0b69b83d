import { readFileSync, statSync } from 'node:fs';
import { type BuildArgs, buildArgs } from '@kiln/contract/api/build-args';
import { type BuildSecrets, buildSecretId, buildSecrets, MAX_BUILD_SECRET_BYTES } from '@kiln/contract/api/build-secrets';
import { InvalidArgumentError } from 'commander';
import type { ZodType } from 'zod';

/** The options of the commands that build. */
export const BUILD_ARG = [
  '--build-arg <name=value>',
  'an ARG of the Dockerfile; may be repeated; the image shows its value',
  addBuildArg,
] as const;
export const BUILD_SECRET = [
  '--build-secret <id=file>',
  'a file for build steps that mount this id, and for installs: npmrc, netrc, pip.conf, yarnrc.yml; may be repeated; stays out of the image',
  addBuildSecret,
] as const;

function addBuildArg(text: string, before: BuildArgs = {}): BuildArgs {
  const [name, value] = halves(text, 'NAME=value');
  return { ...before, ...parsed(buildArgs, { [name]: value }, 'It') };
}

/** Takes no value: every process of the machine could read it from the command line. */
function addBuildSecret(text: string, before: BuildSecrets = {}): BuildSecrets {
  const [id, file] = halves(text, 'id=FILE');
  parsed(buildSecretId, id, 'Its id');
  return parsed(buildSecrets, { ...before, [id]: read(file).toString('base64') }, 'It');
}

function halves(text: string, form: string): [string, string] {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError(`It must be ${form}.`);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** @throws InvalidArgumentError with what the form demands of the option's value */
export function parsed<T>(form: ZodType<T>, value: unknown, subject: string): T {
  const { data, error } = form.safeParse(value);
  if (error !== undefined) throw new InvalidArgumentError(`${subject} ${error.issues[0]?.message ?? 'is wrong'}.`);
  return data as T;
}

function read(file: string): Buffer {
  try {
    if (statSync(file).size > MAX_BUILD_SECRET_BYTES) throw new Error(`it is larger than ${MAX_BUILD_SECRET_BYTES} bytes`);
    return readFileSync(file);
  } catch (error) {
    throw new InvalidArgumentError(`${file} can't be read: ${(error as Error).message}.`);
  }
}
