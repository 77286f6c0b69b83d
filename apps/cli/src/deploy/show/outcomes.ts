import type { Deployed } from '@kiln/contract/api/control-api';
import { paint } from '../../output/style.js';
import { table } from '../../output/table.js';
import { duration, shortDigest } from '../../output/units.js';
import { type DeployOutcome, deployed, failed } from '../deploy-function.js';

/** One function in two lines, several as a table with a sum; the address stands last. Without `traffic` the new versions got none. */
export function outcomesText(outcomes: readonly DeployOutcome[], columns: number | undefined, traffic = true): string {
  const [first] = outcomes;
  if (outcomes.length === 1 && first && deployed(first)) {
    return first.changed ? `${timesText(first)}\n${servesText(first, traffic)}` : servesText(first, traffic);
  }
  return `${table(['function', 'version', 'built in', 'ready in', 'url'], outcomes.map(row), columns)}\n${sumText(outcomes)}`;
}

function timesText({ digest, buildMs, readyMs, rollback }: Deployed): string {
  const times = [
    `image ${shortDigest(digest)}`,
    buildMs !== undefined && `built in ${duration(buildMs)}`,
    readyMs !== undefined && `ready in ${duration(readyMs)}`,
  ].filter(Boolean);
  return `${times.join(', ')}${rollback === undefined ? '' : `; undo: ${rollback}`}`;
}

function servesText({ function: name, version, changed, url }: Deployed, traffic: boolean): string {
  const which = paint('bold', `${name} v${version}`);
  if (!traffic && changed) return `${which} is ready and has no traffic yet; next: kiln rollout ${name} ${version}`;
  return `${which} serves${changed ? '' : ' unchanged'} at ${url}`;
}

function sumText(outcomes: readonly DeployOutcome[]): string {
  const done = outcomes.filter(deployed);
  const counts: [number, string][] = [
    [done.filter(({ changed }) => changed).length, 'deployed'],
    [done.filter(({ changed }) => !changed).length, 'unchanged'],
    [outcomes.filter((outcome) => 'removed' in outcome).length, 'removed'],
    [outcomes.filter(failed).length, 'failed'],
  ];
  return counts
    .filter(([count]) => count > 0)
    .map(([count, what]) => `${count} ${what}`)
    .join(', ');
}

function row(outcome: DeployOutcome) {
  if (failed(outcome)) return [outcome.function, paint('red', `failed: ${outcome.error.code}`)];
  if (!deployed(outcome)) return [outcome.function, 'removed'];
  const { version, changed, buildMs, readyMs, url } = outcome;
  return [outcome.function, `v${version}${changed ? '' : ' (unchanged)'}`, duration(buildMs), duration(readyMs), url];
}
