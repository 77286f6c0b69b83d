import type { RolloutRecord, StartRollout } from '@kiln/contract/records/rollout';
import type { Traffic } from '@kiln/contract/records/traffic';
import type { RolloutStep } from '@kiln/state/functions/function-store';
import type { TrafficCounts } from './rollout-tally.js';

/** Of durations this short a multiple is noise. */
const NOTICED_MS = 10;
/** Times `minRequests`: the slowest twentieth of a few requests is two or three of them, the first ones of new instances. */
const PERCENTILE_NEEDS = 4;

export type StageDecision = { kind: 'stay' } | { kind: 'advance' } | { kind: 'abort'; reason: string };

export interface StageView {
  fresh: TrafficCounts;
  old: TrafficCounts;
  /** ms since the stage began, and for how long of it whoever decides has been looking. */
  lastedMs: number;
  watchedMs: number;
}

/** A router that has just taken over looks for so long, or for the whole stage, before it moves on. */
const LOOK_MS = 3000;

/** What a rollout does next, by what all routers saw in its stage. Asks nothing and changes nothing. */
export function verdictOn({ limits, stages, stage }: RolloutRecord, view: StageView): StageDecision {
  const { weight, forMs } = stages[stage]!;
  const { fresh, old } = view;
  const sample = Math.min(fresh.requests, old.requests);
  if (sample >= limits.minRequests) {
    const enough = sample >= PERCENTILE_NEEDS * limits.minRequests;
    const worse = moreErrors(fresh, old, limits.maxErrors) ?? (enough ? slower(fresh, old, limits.maxP95) : undefined);
    if (worse !== undefined) return { kind: 'abort', reason: `${worse}, at ${weight} % of the traffic` };
  }
  return view.lastedMs >= forMs && view.watchedMs >= Math.min(LOOK_MS, forMs) ? { kind: 'advance' } : { kind: 'stay' };
}

function moreErrors(fresh: TrafficCounts, old: TrafficCounts, maxErrors: number): string | undefined {
  const [now, before] = [fresh, old].map(({ errors, requests }) => (100 * errors) / requests) as [number, number];
  if (now - before <= maxErrors) return undefined;
  return `${percent(now)} of ${fresh.requests} requests failed, against ${percent(before)} before: more than ${maxErrors} points worse`;
}

function slower({ p95: now }: TrafficCounts, { p95: before }: TrafficCounts, maxP95: number): string | undefined {
  if (now === undefined || before === undefined || now <= before * maxP95 || now - before < NOTICED_MS) return undefined;
  return `95 % of its requests took up to ${milliseconds(now)}, against ${milliseconds(before)} before: more than ${maxP95} times as long`;
}

/** The first stage. What serves now is what an abort returns to. `now` is ISO 8601, here and below. */
export function begin(
  { traffic: from, previousTraffic: previous }: RolloutStep,
  version: number,
  { stages, limits }: StartRollout,
  now: string,
  startedBy?: string,
): RolloutStep {
  const about = { version, stages, limits, from, previous, startedAt: now, startedBy };
  return atStage({ ...about, stage: 0, stageStartedAt: now, state: 'running' });
}

/** The next stage or, behind the last one, all traffic. A rollback then returns to what was before the rollout. */
export function advance(rollout: RolloutRecord, now: string): RolloutStep {
  const { from, version, stages, stage } = rollout;
  if (stage + 1 < stages.length) return atStage({ ...rollout, stage: stage + 1, stageStartedAt: now });
  return { traffic: [{ version, weight: 100 }], previousTraffic: from, rollout: { ...rollout, state: 'done', endedAt: now } };
}

function atStage(rollout: RolloutRecord): RolloutStep {
  const { from, version, stages, stage } = rollout;
  return { traffic: trafficAt(from, version, stages[stage]!.weight), previousTraffic: from, rollout };
}

/** As if it had never begun. */
export function abort(rollout: RolloutRecord, reason: string, now: string): RolloutStep {
  return { traffic: rollout.from, previousTraffic: rollout.previous, rollout: { ...rollout, state: 'aborted', reason, endedAt: now } };
}

/** The new version at a weight, the others sharing the rest as they did before: whole numbers that make 100. */
export function trafficAt(from: Traffic, version: number, weight: number): Traffic {
  const others = from.filter((share) => share.version !== version && share.weight > 0);
  const total = others.reduce((sum, share) => sum + share.weight, 0);
  const exact = others.map((share) => ({ ...share, weight: (share.weight * (100 - weight)) / total }));
  const shares = exact.map((share) => ({ ...share, weight: Math.floor(share.weight) }));
  // Points lost by rounding go to those who lost most.
  let missing = 100 - weight - shares.reduce((sum, share) => sum + share.weight, 0);
  const byLoss = exact.map((share, i) => ({ i, loss: share.weight - shares[i]!.weight })).sort((a, b) => b.loss - a.loss);
  for (const { i } of byLoss.slice(0, missing)) {
    shares[i]!.weight += 1;
    missing -= 1;
  }
  return [...shares, { version, weight }];
}

/** The same with other versions in the place of some: the stage under way begins again with them. */
export function withReplaced(step: RolloutStep, made: ReadonlyMap<number, number>, now: string): RolloutStep {
  const { previousTraffic, rollout } = step;
  const replaced = (shares: Traffic) => shares.map((share) => ({ ...share, version: made.get(share.version) ?? share.version }));
  const traffic = replaced(step.traffic);
  if (rollout?.state !== 'running') return { traffic, previousTraffic, rollout };
  const version = made.get(rollout.version) ?? rollout.version;
  return { traffic, previousTraffic, rollout: { ...rollout, version, from: replaced(rollout.from), stageStartedAt: now } };
}

/** One stage of one rollout, and of one version: counts of another say nothing of it. */
export function stageKey({ startedAt, stage, version }: RolloutRecord): string {
  return `${startedAt} ${stage} ${version}`;
}

function percent(value: number): string {
  return `${value.toFixed(1)} %`;
}

function milliseconds(value: number): string {
  return `${value < 100 ? value.toFixed(1) : Math.round(value)} ms`;
}
