import type { BuildLimits } from '@kiln/builder/bounds/limits';
import type { Registries } from '@kiln/registry/registries';
import type Dockerode from 'dockerode';
import type { Builder } from '../builds/run-build.js';
import { networkName } from './network.js';

interface EngineBuilds {
  docker: Dockerode;
  node: string;
  limits: Partial<BuildLimits>;
  /** Folder for unpacked sources. */
  workspaces: string;
  /** `KILN_REGISTRY`; without one images stay on this engine. */
  prefix: string | undefined;
  registries: Registries;
}

/** Builds on this node's engine, so that the image is where it will run. */
export function buildOnEngine({ docker, node, limits, workspaces, prefix, registries }: EngineBuilds): Builder {
  return async ({ source, functionName, buildArgs, secrets, onLine, signal }) => {
    // Loaded with the first build: most nodes build nothing for a long time.
    const { build } = await import('@kiln/builder/build');
    return build({
      docker,
      source,
      functionName,
      buildArgs,
      secrets,
      nodeId: node,
      limits,
      workspaces,
      // The steps of a build are a user's code, too: they get the network and the firewall rules of the instances.
      network: networkName(node),
      registries,
      ...(prefix !== undefined && { registry: { prefix, registries } }),
      onLine,
      signal,
    });
  };
}
