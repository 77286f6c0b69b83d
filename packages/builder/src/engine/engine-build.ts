import type { Readable } from 'node:stream';
import { KilnError } from '@kiln/contract/errors';
import { isSlice } from '@kiln/engine/cgroup-driver';
import { CPU_PERIOD_US, CPU_SHARES } from '@kiln/engine/container-template';
import { engineError } from '@kiln/engine/engine-error';
import { jsonLinesOf } from '@kiln/engine/json-lines';
import { memorySwap } from '@kiln/engine/memory-swap';
import type Dockerode from 'dockerode';
import type { BuildOutput } from './build-output.js';

export interface EngineBuild {
  docker: Dockerode;
  context: Readable;
  /** Absent for an intermediate image. */
  tag?: string;
  /** Path of the Dockerfile in the context; default `Dockerfile`. */
  file?: string;
  labels: Record<string, string>;
  args?: Record<string, string>;
  /** MB for each step. */
  memory: number;
  /** Cores for each step. */
  cpus: number;
  /** Control group of the steps; default the engine's own. */
  cgroupParent?: string;
  /** Network of the build's containers; the engine's default without. */
  network: string | undefined;
  output: BuildOutput;
  signal: AbortSignal;
}

/**
 * Builds with the engine's classic builder, which every engine has. The build ends with the connection, so an aborted build leaves no
 * container.
 * @returns the image's id
 * @throws KilnError `bad_request` with the step that failed and its last lines
 */
export async function engineBuild({ docker, context, signal, output, ...build }: EngineBuild): Promise<string> {
  let id: string | undefined;
  try {
    const answer = (await docker.buildImage(context, { ...options(build), abortSignal: signal })) as AsyncIterable<Buffer>;
    for await (const { stream, error, aux } of jsonLinesOf(answer)) {
      if (stream !== undefined) output.add(stream);
      if (error !== undefined) throw output.failure(error);
      id = aux?.ID ?? id;
    }
  } catch (error) {
    if (signal.aborted || error instanceof KilnError) throw error;
    // The engine refused before the first step, as with a Dockerfile that does not parse: a fault of the folder.
    const { statusCode, message } = error as { statusCode?: number; message: string };
    throw statusCode === undefined ? engineError('build', error) : output.failure(message.trim());
  } finally {
    context.destroy();
  }
  if (id === undefined) throw new KilnError('unavailable', 'the engine named no image at the end of its build');
  return id;
}

type Options = Omit<EngineBuild, 'docker' | 'context' | 'signal' | 'output'>;

function options({ tag, file, labels, args = {}, memory, cpus, cgroupParent, network }: Options) {
  const bytes = memory * 1024 * 1024;
  return {
    labels,
    buildargs: args,
    memory: bytes,
    memswap: memorySwap(bytes, cgroupParent !== undefined && isSlice(cgroupParent)),
    cpuperiod: CPU_PERIOD_US,
    cpuquota: Math.round(cpus * CPU_PERIOD_US),
    cpushares: CPU_SHARES,
    rm: true,
    forcerm: true,
    ...(tag !== undefined && { t: tag }),
    ...(file !== undefined && { dockerfile: file }),
    ...(cgroupParent !== undefined && { cgroupparent: cgroupParent }),
    ...(network !== undefined && { networkmode: network }),
  };
}
