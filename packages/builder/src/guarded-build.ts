import type { KilnError } from '@kiln/contract/errors';
import { engineError } from '@kiln/engine/engine-error';
import { openStepGroup } from './bounds/step-group.js';
import { StepWatch } from './bounds/step-watch.js';
import { BuildOutput } from './engine/build-output.js';
import { IntermediateImages } from './engine/intermediate-images.js';
import { type BuildInSteps, buildInSteps } from './secrets/build-in-steps.js';
import { maskOf } from './secrets/mask.js';

export interface GuardedBuild extends Omit<BuildInSteps, 'cgroupParent' | 'onImage' | 'output' | 'stepLabels'> {
  /** Id of the node, part of the name of the build's control group. */
  node: string;
  onLine(line: string): void;
}

/** Builds untrusted code within bounds. A failed or cancelled build leaves no container, image or control group. @throws KilnError */
export async function guardedBuild({ node, onLine, ...build }: GuardedBuild): Promise<void> {
  const { docker, signal, limits, secrets } = build;
  const group = await openStepGroup(docker, node, limits.processes).catch((error: unknown) => {
    throw engineError('build', error);
  });
  const images = new IntermediateImages(docker, await engineTime(docker));
  const watch = new StepWatch({ docker, cgroupParent: group.parent, limits, images });
  const ended = new AbortController();
  const exceeded = new AbortController();
  const watching = watch.run(ended.signal).catch((error: unknown) => exceeded.abort(engineError('build', error)));
  try {
    const onImage = (id: string) => images.add(id);
    const mask = maskOf(Object.values(secrets).map((content) => Buffer.from(content, 'base64')));
    await buildInSteps({
      ...build,
      cgroupParent: group.parent,
      stepLabels: { 'kiln.role': 'build', 'kiln.node': node },
      output: new BuildOutput(onLine, onImage, mask),
      onImage,
      signal: AbortSignal.any([signal, exceeded.signal]),
    });
  } catch (error) {
    // Where the engine does not respond, it cleans up itself when the connection ends.
    await watch.end().catch(() => undefined);
    await images.remove(watch.containers).catch(() => undefined);
    throw exceeded.signal.aborted && !signal.aborted ? (exceeded.signal.reason as KilnError) : error;
  } finally {
    ended.abort();
    await watching;
    await group.close();
  }
}

/** The time of the engine's clock, from which images get their times. */
async function engineTime(docker: GuardedBuild['docker']): Promise<number> {
  const { SystemTime } = (await docker.info()) as { SystemTime?: string };
  return SystemTime === undefined ? Date.now() : Date.parse(SystemTime);
}
