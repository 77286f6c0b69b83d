import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Program } from '@kiln/testing/program';
import { parse } from 'yaml';

const FOLDER = join(import.meta.dirname, '../..', '.github', 'actions', 'deploy');

interface Step {
  id?: string;
  name?: string;
  uses?: string;
  run?: string;
  if?: string;
  env?: Record<string, string>;
}
interface Action {
  inputs: Record<string, { required?: boolean; default?: string }>;
  runs: { steps: Step[] };
}

export interface ActionResult {
  code: number | null;
  /** What stands in the step's log. */
  log: string;
  summary: string;
  /** Content of the step's output file. */
  output: string;
}

/**
 * Runs the shell steps of our action as GitHub does: expressions filled in, `bash -eo pipefail`, the files and variables of a step. The
 * steps that use other people's actions are left out: Node is here, and AWS credentials come as `env`.
 */
export async function runAction(
  inputs: Record<string, string>,
  workspace: string,
  env: Record<string, string> = {},
): Promise<ActionResult> {
  const action = parse(readFileSync(join(FOLDER, 'action.yml'), 'utf8')) as Action;
  const values = inputsOf(action, inputs);
  const folder = mkdtempSync(join(tmpdir(), 'kiln-action-'));
  const [summary, output] = [join(folder, 'summary'), join(folder, 'output')];
  for (const file of [summary, output]) writeFileSync(file, '');
  const result = { code: 0 as number | null, log: '' };
  try {
    for (const step of action.runs.steps.filter(({ run }) => run !== undefined)) {
      const variables = Object.fromEntries(Object.entries(step.env ?? {}).map(([name, value]) => [name, filledIn(value, values)]));
      const program = new Program(step.name ?? 'step', {
        command: 'bash',
        args: ['--noprofile', '--norc', '-eo', 'pipefail', '-c', step.run as string],
        cwd: workspace,
        env: { ...githubEnvironment(folder), GITHUB_STEP_SUMMARY: summary, GITHUB_OUTPUT: output, ...env, ...variables },
      });
      ({ code: result.code } = await program.exited);
      result.log += program.stdout + program.stderr;
      if (result.code !== 0) break;
    }
    return { ...result, summary: readFileSync(summary, 'utf8'), output: readFileSync(output, 'utf8') };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function inputsOf({ inputs }: Action, given: Record<string, string>): Record<string, string> {
  const unknown = Object.keys(given).filter((name) => !(name in inputs));
  const missing = Object.entries(inputs).filter(([name, { required }]) => required && !(name in given));
  if (unknown.length + missing.length > 0) throw new Error(`inputs unknown: ${unknown}; missing: ${missing.map(([name]) => name)}`);
  return { ...Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, input.default ?? ''])), ...given };
}

function filledIn(text: string, inputs: Record<string, string>): string {
  return text.replace(/\$\{\{ inputs\.([\w-]+) \}\}/g, (_all, name: string) => {
    const value = inputs[name];
    if (value === undefined) throw new Error(`the action has no input ${name}`);
    return value;
  });
}

function githubEnvironment(folder: string): Record<string, string | undefined> {
  const { PATH, HOME } = process.env;
  return {
    PATH,
    HOME,
    KILN_HOME: join(folder, 'kiln'),
    CI: 'true',
    GITHUB_ACTIONS: 'true',
    GITHUB_ACTION_PATH: FOLDER,
    GITHUB_REPOSITORY: 'owner/shop',
    GITHUB_SHA: 'f00dcafe00000000000000000000000000000000',
  };
}
