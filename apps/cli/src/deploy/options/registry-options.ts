import { registryPrefix } from '@kiln/contract/config/environment';
import { splitPrefix } from '@kiln/registry/reference';
import { Registries } from '@kiln/registry/registries';
import type { Config } from '../../config.js';
import { UsageFailure } from '../../failure.js';
import { homePaths } from '../../home.js';

export interface RegistryOptions {
  registry?: string;
  ecrRepository?: string;
  awsRegion?: string;
}

/** The registry for images: the named one, or a path in the ECR registry of the AWS account. @throws UsageFailure or KilnError */
export async function chooseRegistry(config: Config, options: RegistryOptions) {
  const named = options.registry || config.KILN_REGISTRY;
  if (options.ecrRepository) {
    if (options.registry) throw new UsageFailure('--registry and --ecr-repository both say where images go', 'leave one of them out');
    if (!options.awsRegion) throw new UsageFailure('--ecr-repository needs a region', 'as in: --aws-region eu-west-1');
    const registries = new Registries();
    return { prefix: requirePrefix(`${await registries.ofEcr(options.awsRegion)}/${options.ecrRepository}`), registries };
  }
  if (!named) return undefined;
  return { prefix: requirePrefix(named), registries: new Registries(loginsFor(named, config)) };
}

/** Uses the user name and password of the environment, else the login file of the nodes. */
function loginsFor(prefix: string, config: Config): ConstructorParameters<typeof Registries>[0] {
  const { KILN_REGISTRY_USERNAME: username, KILN_REGISTRY_PASSWORD: password, KILN_REGISTRY_AUTH: path } = config;
  const { registry } = splitPrefix(prefix);
  if (username && password) return new Map([[registry, { username, password, serveraddress: registry }]]);
  return { path: path ?? homePaths(config.KILN_HOME).registries, optional: path === undefined };
}

function requirePrefix(prefix: string): string {
  if (registryPrefix.safeParse(prefix).success) return prefix;
  throw new UsageFailure(`"${prefix}" can't be a registry`, 'give a host with an optional port and path: registry.example.com/kiln');
}
