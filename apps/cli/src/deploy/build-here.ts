import type { KilnClient } from '@kiln/client/client';
import { KilnError } from '@kiln/contract/errors';
import type { Registries } from '@kiln/registry/registries';
import { packFiles } from '../folder/pack.js';
import type { Deploy, VersionNotes } from './deploy-function.js';

interface BuildHereOptions {
  client: KilnClient;
  dockerHost: string;
  /** The nodes pull the image from here; without a registry they have to share this machine's engine. */
  registry: { prefix: string; registries: Registries } | undefined;
  how: VersionNotes;
  signal: AbortSignal;
}

/** Builds on the engine of this machine, then deploys the image. */
export function buildHere({ client, dockerHost, registry, how, signal }: BuildHereOptions): Deploy {
  return async ({ name, files, replaced, buildArgs, buildSecrets, sourceDigest, project }, progress) => {
    // Loaded with the first build: the cluster builds most deployments.
    const [{ build }, { connectEngine }] = await Promise.all([import('@kiln/builder/build'), import('@kiln/engine/connect-engine')]);
    const docker = connectEngine(dockerHost);
    await docker.ping().catch((error: Error) => {
      throw new KilnError('unavailable', `no Docker engine answers at ${dockerHost}: ${error.message}`, {
        fix: 'start Docker, or set DOCKER_HOST',
      });
    });
    const started = performance.now();
    const { image, config } = await build({
      docker,
      source: packFiles(files, replaced),
      functionName: name,
      buildArgs,
      secrets: buildSecrets,
      registry,
      registries: registry?.registries,
      onLine: progress,
      signal,
    });
    const buildMs = Math.round(performance.now() - started);
    progress(`built ${image} in ${buildMs} ms`);
    return { ...(await client.versions.create(name, { image, config, sourceDigest, ...how, project }, { signal })), buildMs };
  };
}
