import { randomBytes } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { BuildSecrets } from '@kiln/contract/api/build-secrets';
import type { BuildLimits } from '../bounds/limits.js';
import { declaresArg } from '../dockerfile/build-arguments.js';
import { type EngineBuild, engineBuild } from '../engine/engine-build.js';
import { runSecretStep, type StepRun } from './run-step.js';
import { nextSecretStep } from './secret-step.js';

/** What the engine builds from, whatever its Dockerfile says. */
export interface Sources {
  dockerfile: string;
  /** With another Dockerfile, at `file`, in place of its own. */
  context(dockerfile?: string): { context: Readable; file?: string };
}

export interface BuildInSteps extends Omit<EngineBuild, 'context' | 'file' | 'cgroupParent' | 'memory' | 'cpus'> {
  sources: Sources;
  secrets: BuildSecrets;
  /** Of the containers that steps with secrets run in. */
  stepLabels: Record<string, string>;
  cgroupParent: string;
  limits: BuildLimits;
  onImage(id: string): void;
}

/**
 * The engine's build, but for steps that read secrets, which are run in containers of our own: up to each of them the engine
 * builds, and goes on from the image that the step gave.
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
  // Labels of the steps' containers would otherwise be taken for those of containers of ours.
  const cleared = changed === undefined ? {} : Object.fromEntries(Object.keys(stepLabels).map((label) => [label, '']));
  await engineBuild({ ...engine, ...sources.context(changed), ...(tag !== undefined && { tag }), labels: { ...cleared, ...labels } });
}

/** The engine warns of others, which later parts may declare. */
function declaredIn(dockerfile: string, args: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(args).filter(([name]) => declaresArg(dockerfile, name)));
}
