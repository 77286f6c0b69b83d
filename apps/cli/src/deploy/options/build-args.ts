import { type BuildArgs, buildArgs } from '@kiln/contract/api/build-args';
import { InvalidArgumentError } from 'commander';

/** Adds one `NAME=value` to the build arguments. */
export function addBuildArg(text: string, before: BuildArgs = {}): BuildArgs {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('It must be NAME=value.');
  const parsed = buildArgs.safeParse({ [text.slice(0, at)]: text.slice(at + 1) });
  if (!parsed.success) throw new InvalidArgumentError(`It ${parsed.error.issues[0]?.message ?? 'is wrong'}.`);
  return { ...before, ...parsed.data };
}
