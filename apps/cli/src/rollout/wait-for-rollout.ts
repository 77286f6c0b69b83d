import { setTimeout as delay } from 'node:timers/promises';
import type { KilnClient } from '@kiln/client/client';
import type { FunctionView } from '@kiln/contract/api/control-api';
import { KilnError } from '@kiln/contract/errors';
import type { RolloutRecord } from '@kiln/contract/records/rollout';
import { EXIT, Failure } from '../failure.js';
import { stageText } from './rollout-text.js';

const EVERY_MS = 500;
/** All routers may restart meanwhile. The rollout continues without this command in any case. */
const AWAY_MS = 60_000;

/** Reports each stage and waits for the end. @throws Failure when the new version did not get the traffic */
export async function waitForRollout(client: KilnClient, begun: FunctionView, say: (line: string) => void): Promise<FunctionView> {
  const { name } = begun;
  let stage = -1;
  for (let view = begun; ; view = await read(client, name)) {
    const rollout = sameRollout(begun, view);
    if (rollout.state === 'done') return view;
    if (rollout.state !== 'running') throw notDone(name, rollout);
    if (rollout.stage !== stage) say(`v${rollout.version} of ${name}: ${stageText(rollout)}`);
    stage = rollout.stage;
    await delay(EVERY_MS);
  }
}

async function read(client: KilnClient, name: string): Promise<FunctionView> {
  const deadline = performance.now() + AWAY_MS;
  for (;;) {
    try {
      return await client.functions.get(name);
    } catch (error) {
      if (!(error instanceof KilnError) || error.code !== 'unavailable' || performance.now() > deadline) throw error;
      await delay(EVERY_MS);
    }
  }
}

function sameRollout({ name, rollout: begun }: FunctionView, { rollout }: FunctionView): RolloutRecord {
  if (begun !== undefined && rollout?.startedAt === begun.startedAt) return rollout;
  throw new Failure(`another rollout of "${name}" has started since`, `see its state: kiln inspect ${name}`, EXIT.conflict, 'conflict');
}

function notDone(name: string, { version, state, reason = 'no reason was given' }: RolloutRecord): Failure {
  const next = `see what it says: kiln logs ${name} --level error; and which version has the traffic: kiln traffic ${name}`;
  if (state === 'aborted') return new Failure(`version ${version} of "${name}" was taken back: ${reason}`, next);
  return new Failure(`the rollout of version ${version} of "${name}" ended: ${reason}`, next, EXIT.conflict, 'conflict');
}
