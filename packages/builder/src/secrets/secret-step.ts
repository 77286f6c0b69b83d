import { type Instruction, instructionsOf } from '../dockerfile/dockerfile-text.js';
import { type SecretRun, secretRun } from './secret-mounts.js';

/** The first step of a Dockerfile that reads secrets, and the file around it. */
export interface SecretStep extends SecretRun {
  /** As the output shows it: `Step 3/5 : RUN …`. */
  title: string;
  /** The file above the step, and a LABEL for each build argument of the step: from the labels Kiln reads their values. */
  above: string;
  /** Labels of the build arguments, by name of the argument. */
  args: ReadonlyMap<string, string>;
  /** The file below the step, on the image that the step made; `onBuild` are the triggers of that image. */
  rest(image: string, onBuild: readonly string[]): string;
}

const STEP_LABEL = 'kiln.build.step';
const ARG_LABEL = 'kiln.build.arg.';

/**
 * @param mark letters and digits for a label of the image above, so that no other build shares that image
 * @throws KilnError `bad_request` for a secret that can't be given
 */
export function nextSecretStep(dockerfile: string, mark: string): SecretStep | undefined {
  const all = instructionsOf(dockerfile);
  for (const [at, { keyword, rest }] of all.entries()) {
    const run = keyword === 'RUN' ? secretRun(rest) : undefined;
    if (run !== undefined) return stepAt(dockerfile.split('\n'), all, at, { run, mark });
  }
  return undefined;
}

function stepAt(lines: string[], all: Instruction[], at: number, { run, mark }: { run: SecretRun; mark: string }): SecretStep | undefined {
  const step = all[at] as Instruction;
  const begins = all.findLastIndex(({ keyword }, index) => index < at && keyword === 'FROM');
  const from = all[begins];
  // The engine refuses a step without a FROM above it.
  if (from === undefined) return undefined;
  const declared = all.slice(begins, at).filter(({ keyword }) => keyword === 'ARG');
  const args = new Map(declared.flatMap(({ rest }) => namesOf(rest)).map((name) => [name, ARG_LABEL + name]));
  const labels = [...args].map(([name, label]) => ` ${label}="\${${name}}"`);
  return {
    ...run,
    title: `Step ${at + 1}/${all.length} : RUN ${step.rest}`,
    above: [...lines.slice(0, step.first), `LABEL ${STEP_LABEL}=${mark}${labels.join('')}`, ''].join('\n'),
    args,
    rest: (image, onBuild) =>
      [
        ...lines.slice(0, from.first),
        `FROM ${image}${stageOf(from)}`,
        ...declared.map(({ rest }) => `ARG ${rest}`),
        ...onBuild.map((trigger) => `ONBUILD ${trigger}`),
        ...lines.slice(step.end),
      ].join('\n'),
  };
}

/** The names in `ARG A=1 B`; a name too many does no harm. */
function namesOf(rest: string): string[] {
  return [...rest.matchAll(/(?:^|\s)([A-Za-z_]\w*)(?==|\s|$)/g)].map(([, name]) => name as string);
}

function stageOf({ rest }: Instruction): string {
  const [, stage] = /\sAS\s+(\S+)$/i.exec(rest) ?? [];
  return stage === undefined ? '' : ` AS ${stage}`;
}
