import type { RolloutRecord } from '@kiln/contract/records/rollout';
import { age, duration } from '../output/units.js';

/** `v4: stage 2 of 3, 50 % for 5 min, since 40s`, or how it ended. */
export function rolloutText(rollout: RolloutRecord): string {
  const { version, state, reason, startedAt, endedAt } = rollout;
  if (state === 'running') return `v${version}: ${stageText(rollout)}, since ${age(rollout.stageStartedAt)}`;
  const took = endedAt === undefined ? '' : ` ${age(endedAt)} ago, after ${age(startedAt, Date.parse(endedAt))}`;
  return `v${version}: ${state}${took}${reason === undefined ? '' : `: ${reason}`}`;
}

export function stageText({ stages, stage }: RolloutRecord): string {
  const { weight, forMs } = stages[stage] ?? { weight: 0, forMs: 0 };
  return `stage ${stage + 1} of ${stages.length}, ${weight} % for ${duration(forMs)}`;
}
