import type { BuildArgs } from '@kiln/contract/api/build-args';
import type { BuildSecrets } from '@kiln/contract/api/build-secrets';
import { projectName } from '@kiln/contract/names';
import { versionMessage } from '@kiln/contract/records/records';
import { type Command, InvalidArgumentError } from 'commander';
import type { ConfirmOptions } from '../../confirm.js';
import { UsageFailure } from '../../failure.js';
import type { OutputOptions } from '../../output/print.js';
import { addBuildArg } from './build-args.js';
import { addBuildSecret, BUILD_SECRET } from './build-secrets.js';
import type { RegistryOptions } from './registry-options.js';

export interface DeployFlags extends OutputOptions, ConfirmOptions, RegistryOptions {
  name?: string;
  message?: string;
  traffic: boolean;
  project?: string;
  only?: string[];
  buildArg?: BuildArgs;
  buildSecret?: BuildSecrets;
  prune?: boolean;
  dryRun?: boolean;
  force?: boolean;
  local?: boolean;
  ci?: boolean;
  verbose?: boolean;
}

/** An empty value counts as none: scripts pass on what they were given. */
export function addDeployOptions(command: Command): Command {
  return command
    .option('--name <name>', 'deploy under this name instead of the one in kiln.json or of the folder')
    .option('-m, --message <text>', 'why, in one line: shown by kiln versions (default: the commit, in a git work tree)')
    .option('--no-traffic', 'prove it ready and give it no traffic yet: kiln rollout or kiln traffic does')
    .option('--only <names>', 'these functions and no others, with commas between them', nameList)
    .option('--build-arg <name=value>', 'for the steps of the Dockerfile; may be repeated, and is readable in the image', addBuildArg)
    .option(...BUILD_SECRET, addBuildSecret)
    .option('--dry-run', 'say what would be built, changed and removed, and do nothing')
    .option('-v, --verbose', 'show all that the steps of the builds write')
    .option('--force', 'send and build what has not changed, too')
    .option('--project <name>', 'what the functions belong to, instead of "project" in kiln.json', project)
    .option('--prune', 'remove functions that the same project deployed earlier and does not declare any more')
    .option('-y, --yes', 'do not ask before a removal')
    .option('--local', 'build with the engine of this machine instead of a node’s')
    .option('--registry <prefix>', 'with --local: push images there, where nodes get them (default: KILN_REGISTRY)')
    .option('--ecr-repository <path>', 'with --local: push to the ECR registry of the AWS account at hand, below this path')
    .option('--aws-region <region>', 'region of that registry')
    .option('--ci', 'as --local, in a workflow: a group of lines for each function, annotations, and a summary');
}

/** Without the empty ones. @throws UsageFailure for what does not go together, before anything is sent */
export function soundOptions(given: DeployFlags): DeployFlags {
  const isEmpty = (value: unknown) => value === '' || (Array.isArray(value) && value.length === 0);
  const options = Object.fromEntries(Object.entries(given).filter(([, value]) => !isEmpty(value))) as unknown as DeployFlags;
  if (options.prune && options.only)
    throw new UsageFailure('--prune looks at all functions, and --only names some', 'leave one of them out');
  const away = !options.local && !options.ci;
  if (away && (options.registry || options.ecrRepository))
    throw new UsageFailure('a registry is named, and nodes know their own', 'add --local to build here, or leave it out');
  if (options.message && !versionMessage.safeParse(options.message).success)
    throw new UsageFailure('the message must be one line of 1 to 200 characters', 'as in: kiln deploy -m "faster search"');
  return options;
}

function nameList(text: string): string[] {
  return text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

function project(text: string): string {
  if (text === '') return '';
  const parsed = projectName.safeParse(text);
  if (!parsed.success) throw new InvalidArgumentError(`It ${parsed.error.issues[0]?.message}.`);
  return parsed.data;
}
