import type { BuildLimits } from '@kiln/builder/limits';
import type { Registry } from '@kiln/builder/registry';
import type Dockerode from 'dockerode';
import type { Builder } from '../builds/run-build.js';
import { networkName } from './network.js';

/** Builds on this node's engine, so that the image is born where it will run. */
export function buildOnEngine(docker: Dockerode, node: string, limits: Partial<BuildLimits>, registry: Registry | undefined): Builder {
  return async ({ source, functionName, onLine, signal }) => {
    // Loaded with the first build: most nodes most of the time build nothing.
    const { build } = await import('@kiln/builder/build');
    return build({
      docker,
      source,
      functionName,
      nodeId: node,
      limits,
      // Steps of a build are a user's code too: they get the network of the instances, with the same rules.
      network: networkName(node),
      ...(registry !== undefined && { registry }),
      onLine,
      signal,
    });
  };
}
