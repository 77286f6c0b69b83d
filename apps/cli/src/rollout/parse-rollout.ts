import { type StartRolloutInput, startRolloutBody } from '@kiln/contract/records/rollout';
import { UsageFailure } from '../failure.js';
import { parseVersion } from '../function-reference.js';
import { parseDuration } from '../output/units.js';

export interface RolloutOptions {
  stage?: string[];
  maxErrors?: string;
  maxP95?: string;
  minRequests?: string;
}

/** @throws UsageFailure that names the wrong option */
export function parseRollout(name: string, version: string, { stage, maxErrors, maxP95, minRequests }: RolloutOptions): StartRolloutInput {
  const limits = {
    maxErrors: amount('--max-errors', maxErrors, /^(\d{1,3}(?:\.\d{1,3})?)%?$/, '2%'),
    maxP95: amount('--max-p95', maxP95, /^(\d{1,4}(?:\.\d{1,3})?)x?$/, '1.5x'),
    minRequests: amount('--min-requests', minRequests, /^(\d{1,7})$/, '50'),
  };
  const rollout: StartRolloutInput = { version: versionOf(name, version), stages: stage?.map(parseStage), limits };
  const { error } = startRolloutBody.safeParse(rollout);
  if (error === undefined) return rollout;
  const fix = `as in: kiln rollout ${name} --stage 10,5m --stage 50,10m`;
  throw new UsageFailure(`this is no rollout: ${error.issues.map(issueText).join('; ')}`, fix);
}

/** The defaults of the options, for the help. */
const { stages, limits } = startRolloutBody.parse({});
export const DEFAULTS = { stages: stages.map(({ weight, forMs }) => `${weight},${forMs / 60_000}m`), ...limits };

function versionOf(name: string, text: string): number | undefined {
  if (text === 'latest') return undefined;
  const number = parseVersion(text);
  if (number !== undefined) return number;
  throw new UsageFailure(`"${text}" is no version`, `write it as 3, or as latest; see which there are: kiln versions ${name}`);
}

function parseStage(text: string): { weight: number; forMs: number } {
  const [, weight, duration = ''] = /^(\d{1,2})%?,(\w+)$/.exec(text) ?? [];
  const forMs = parseDuration(duration);
  if (weight !== undefined && forMs !== undefined) return { weight: Number(weight), forMs };
  throw new UsageFailure(`--stage ${text} is no stage: it is a weight from 1 to 99, a comma, and a duration`, 'as in: --stage 10,5m');
}

function amount(option: string, text: string | undefined, form: RegExp, example: string): number | undefined {
  if (text === undefined) return undefined;
  const value = form.exec(text)?.[1];
  if (value !== undefined) return Number(value);
  throw new UsageFailure(`${option} ${text} is not understood`, `as in: ${option} ${example}`);
}

/** The API's message, with the names of the command's options. */
function issueText({ path, message }: { path: PropertyKey[]; message: string }): string {
  const option = { maxErrors: '--max-errors', maxP95: '--max-p95', minRequests: '--min-requests' }[String(path[1])] ?? '--stage';
  const place =
    path[0] === 'stages' && typeof path[1] === 'number' ? ` ${path[1] + 1}, ${path[2] === 'forMs' ? 'the duration' : 'the weight'}` : '';
  return `${option}${place}: ${message}`;
}
