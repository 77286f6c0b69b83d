import { z } from 'zod';
import { versionNumber } from '../names.js';
import { stored } from '../stored.js';
import { storedShare } from './traffic.js';

const time = z.iso.datetime();

const stage = {
  /** Of the new version; the others share the rest as they did before. */
  weight: z.int().min(1).max(99),
  /** How long it is watched before the next stage. */
  forMs: z.int().min(1000).max(86_400_000),
};

/** When the new version counts as worse than the others in the same stage. */
const limits = {
  /** Points by which its share of failed requests may be higher. */
  maxErrors: z.number().min(0, 'must be 0 to 100').max(100, 'must be 0 to 100').default(2),
  /** How many times their 95th percentile of the duration its own may be. */
  maxP95: z.number().min(1, 'must be 1 to 1000').max(1000, 'must be 1 to 1000').default(1.5),
  /** Fewer requests, on either side, say nothing; of durations, fewer than four times as many. */
  minRequests: z.int().min(1, 'must be 1 to 1000000').max(1_000_000, 'must be 1 to 1000000').default(50),
};

/** `POST /v1/functions/:name/rollout` */
export const startRolloutBody = z
  .strictObject({
    /** Left out: the newest that is ready. */
    version: versionNumber.optional(),
    stages: z
      .array(z.strictObject(stage))
      .min(1)
      .max(20)
      .refine(
        (stages) => stages.every(({ weight }, i) => i === 0 || weight > stages[i - 1]!.weight),
        'weights must rise from stage to stage',
      )
      .default([
        { weight: 10, forMs: 300_000 },
        { weight: 50, forMs: 300_000 },
      ]),
    limits: z.strictObject(limits).prefault({}),
  })
  .meta({ id: 'StartRollout' });
export type StartRollout = z.infer<typeof startRolloutBody>;
export type StartRolloutInput = z.input<typeof startRolloutBody>;

export const rolloutRecord = stored({
  version: versionNumber,
  stages: z.array(stored(stage)),
  limits: stored(limits),
  /** Index of the stage under way, or of the last one that was. */
  stage: z.int().min(0),
  stageStartedAt: time,
  /** `cancelled`: somebody moved the traffic meanwhile. */
  state: z.enum(['running', 'done', 'aborted', 'cancelled']),
  reason: z.string().optional(),
  /** Traffic before it, to which an abort returns, and what a rollback would have returned to then. */
  from: z.array(storedShare),
  previous: z.array(storedShare),
  startedAt: time,
  startedBy: z.string().optional(),
  endedAt: time.optional(),
}).meta({ id: 'Rollout' });
export type RolloutRecord = z.infer<typeof rolloutRecord>;

const count = z.int().min(0);

/** What a router counted of some versions' requests. */
const rolloutTally = stored({
  requests: count,
  errors: count,
  /** Pairs of bucket and count; the buckets are those of the routers. */
  durations: z.array(z.tuple([count, count])).max(1000),
});
export type RolloutTally = z.infer<typeof rolloutTally>;

/** What one router has counted so far in one stage. */
export const rolloutCounts = stored({ stage: z.string(), fresh: rolloutTally, old: rolloutTally });
export type RolloutCounts = z.infer<typeof rolloutCounts>;
