import { z } from 'zod';
import { functionName, versionNumber } from '../names.js';
import { recordSchema, stored } from '../stored.js';
import { versionMessage } from './records.js';

const deploymentState = z.enum(['building', 'proving', 'warming', 'switching', 'done', 'failed']);
export type DeploymentState = z.infer<typeof deploymentState>;

/** Every state of a deployment, and the states that may follow it. */
const MOVES: Readonly<Record<DeploymentState, readonly DeploymentState[]>> = {
  // Straight to done: image and configuration are those that serve already.
  building: ['proving', 'done', 'failed'],
  // Straight to done: the version was asked for without traffic.
  proving: ['warming', 'done', 'failed'],
  warming: ['switching', 'failed'],
  // The traffic moves in the same step in which the deployment becomes done.
  switching: ['done', 'failed'],
  done: [],
  failed: [],
};

export function mayMove(from: DeploymentState, to: DeploymentState): boolean {
  return MOVES[from].includes(to);
}

/** Nothing more happens to it. */
export function hasEnded({ state }: { state: DeploymentState }): boolean {
  return MOVES[state].length === 0;
}

/** One deployment of one function: what another router must know to finish it, and what people are shown of it. */
export const deploymentRecord = stored({
  ...recordSchema,
  id: z.string().min(1).max(100),
  function: functionName,
  state: deploymentState,
  /** Name of the router process that carries it out. */
  router: z.string().max(300),
  /** Absent while there is none yet. */
  version: versionNumber.optional(),
  digest: z.string().optional(),
  /** The version in whose place the new one goes, because a secret changed. Absent: the new version gets all traffic. */
  replaces: versionNumber.optional(),
  /** The version is proved ready and gets no traffic. */
  traffic: z.literal('none').optional(),
  /** The version waits for the other functions of one push: all get their traffic, or none. */
  waits: z.boolean().optional(),
  failure: stored({ code: z.string(), detail: z.string() }).optional(),
  createdBy: z.string().max(100).optional(),
  message: versionMessage.optional(),
  startedAt: z.iso.datetime(),
  /** When it came into its state, or to its router. */
  updatedAt: z.iso.datetime(),
}).meta({ id: 'Deployment' });
export type DeploymentRecord = z.infer<typeof deploymentRecord>;
