import { type DeploymentRecord, hasEnded } from '@kiln/contract/records/deployment';
import { age } from '../output/units.js';

/** Failed ones beyond these are shown as JSON only. */
const FAILED_SHOWN = 3;

/** A line for each deployment that is under way, and for the newest of those that failed. */
export function deploymentLines(deployments: readonly DeploymentRecord[]): string[] {
  const underWay = deployments.filter((each) => !hasEnded(each));
  return [...underWay, ...deployments.filter(({ state }) => state === 'failed').slice(0, FAILED_SHOWN)].map(lineOf);
}

function lineOf({ state, version, router, startedAt, updatedAt, failure }: DeploymentRecord): string {
  const what = version === undefined ? 'deployment' : `deployment of v${version}`;
  if (state === 'failed') return `${what}: failed ${age(updatedAt)} ago: ${failure?.code}: ${failure?.detail.split('\n')[0]}`;
  return `${what}: ${state} since ${age(updatedAt)}, begun ${age(startedAt)} ago, by router ${router}`;
}
