import { projectName } from '@kiln/contract/names';
import { versionMessage } from '@kiln/contract/records/records';
import type { KilnCommand } from '../../command.js';
import type { ConfirmOptions } from '../../confirm.js';
import { UsageFailure } from '../../failure.js';
import type { OutputOptions } from '../../output/print.js';
import type { Selection } from '../prepare.js';
import { BUILD_ARG, BUILD_SECRET, parsed } from './build-options.js';
import type { RegistryOptions } from './registry-options.js';

export interface DeployFlags extends OutputOptions, ConfirmOptions, RegistryOptions, Selection {
  message?: string;
  traffic: boolean;
  prune?: boolean;
  dryRun?: boolean;
  force?: boolean;
  local?: boolean;
  ci?: boolean;
  verbose?: boolean;
}

/** An empty value counts as absent: scripts pass their own empty inputs. */
export function addDeployOptions(command: KilnCommand): KilnCommand {
  return command
    .option('--name <name>', 'deploy under this name instead of the name in kiln.json or of the folder')
    .option('-m, --message <text>', 'one line about this version, for kiln versions (default: the commit, in a git work tree)')
    .option('--no-traffic', 'give the new version no traffic: kiln rollout or kiln traffic does that later')
    .option('--only <names>', 'only these functions, separated by commas', nameList)
    .option(...BUILD_ARG)
    .option(...BUILD_SECRET)
    .option('--dry-run', 'show what would be built, changed and removed, and do nothing')
    .option('-v, --verbose', 'show the whole output of the builds')
    .option('--force', 'send and build unchanged functions too')
    .option('--project <name>', 'the project of the functions, instead of "project" in kiln.json', project)
    .option('--prune', 'remove functions of the same project that are no longer declared')
    .option('-y, --yes', 'do not ask before a removal')
    .option('--local', 'build on the engine of this machine instead of a node')
    .option('--registry <prefix>', 'with --local: push images to this registry for the nodes (default: KILN_REGISTRY)')
    .option('--ecr-repository <path>', 'with --local: push to the ECR registry of your AWS account, under this path')
    .option('--aws-region <region>', 'region of the ECR registry')
    .option('--ci', '--local for a GitHub workflow: a group of lines per function, annotations, and a summary');
}

/** The options without empty ones. @throws UsageFailure for options that exclude each other */
export function soundOptions(given: DeployFlags): DeployFlags {
  const isEmpty = (value: unknown) => value === '' || (Array.isArray(value) && value.length === 0);
  const options = Object.fromEntries(Object.entries(given).filter(([, value]) => !isEmpty(value))) as unknown as DeployFlags;
  if (options.prune && options.only) throw new UsageFailure('--prune needs all functions, and --only names some', 'leave one of them out');
  const away = !options.local && !options.ci;
  const meant = 'add --local to build here, or leave it out';
  if (away && (options.registry || options.ecrRepository))
    throw new UsageFailure('--registry is for builds on this machine, and nodes have their own', meant);
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
  return text && parsed(projectName, text, 'It');
}
