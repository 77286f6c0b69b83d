import { randomBytes } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { BuildSecrets } from '@kiln/contract/api/build-secrets';
import type { BuildLimits } from '../bounds/limits.js';
import { declaresArg } from '../dockerfile/build-arguments.js';
import { type EngineBuild, engineBuild } from '../engine/engine-build.js';
import { runSecretStep, type StepRun } from './run-step.js';
import { nextSecretStep } from './secret-step.js';

/** The Dockerfile and the context of a build. */
export interface Sources {
  dockerfile: string;
  /** The context, with another Dockerfile at `file` where one is given. */
  context(dockerfile?: string): { context: Readable; file?: string };
}

export interface BuildInSteps extends Omit<EngineBuild, 'context' | 'file' | 'cgroupParent' | 'memory' | 'cpus'> {
  sources: Sources;
  secrets: BuildSecrets;
  /** Labels of the containers in which steps with secrets run. */
  stepLabels: Record<string, string>;
  cgroupParent: string;
  limits: BuildLimits;
  onImage(id: string): void;
}

/**
 * Builds on the engine, but runs steps that read secrets in containers of Kiln's own. The engine builds up to such a step, and
 * continues from the image that the step made.
 * @throws KilnError
 */
export async function buildInSteps({ sources, secrets, stepLabels, limits, onImage, labels, tag, ...build }: BuildInSteps): Promise<void> {
  const engine = { ...build, memory: limits.memory, cpus: limits.cpus };
  const { args = {} } = build;
  const contents = new Map(Object.entries(secrets).map(([id, content]) => [id, Buffer.from(content, 'base64')]));
  let text = sources.dockerfile;
  const asked = new Set<string>();
  const next = () => nextSecretStep(text, randomBytes(8).toString('hex'));
  for (let step = next(); step !== undefined; step = next()) {
    const above = await engineBuild({ ...engine, ...sources.context(step.above), args: declaredIn(step.above, args), labels: {} });
    for (const { id } of step.mounts) asked.add(id);
    const run: StepRun = { ...build, limits, args, above, secrets: contents, labels: stepLabels, onImage };
    const { image, onBuild } = await runSecretStep(step, run);
    text = step.rest(image, onBuild);
  }
  for (const id of contents.keys())
    if (!asked.has(id)) build.output.enter(`warning: no step asks for the secret "${id}": RUN --mount=type=secret,id=${id} does`);
  const changed = text === sources.dockerfile ? undefined : text;
  // The image must not keep the labels of the steps' containers: the node's sweep looks for them.
  const cleared = changed === undefined ? {} : Object.fromEntries(Object.keys(stepLabels).map((label) => [label, '']));
  await engineBuild({ ...engine, ...sources.context(changed), tag, labels: { ...cleared, ...labels } });
}

/** The engine warns about arguments that the Dockerfile does not declare; a later part may declare them. */
function declaredIn(dockerfile: string, args: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(args).filter(([name]) => declaresArg(dockerfile, name)));
}
