import type { FunctionRecord } from '@kiln/contract/records/records';
import { switchTraffic } from '../traffic/switch-traffic.js';
import { PendingProof, type ProofParts } from './await-proof.js';
import type { Deployment } from './deployment.js';
import { finishRenewal, type RenewParts } from './renew.js';
import { type WarmUpParts, warmUp } from './warm-up.js';

/** Nodes have so long, beyond the version's own `startTimeout`, to notice the version, to fetch its image and to find room. */
const PROOF_MARGIN_MS = 60_000;

export type ReleaseParts = WarmUpParts & Omit<ProofParts, 'functions'> & Pick<RenewParts, 'functions' | 'announcer'>;

// The steps of a version from its number to the traffic. A router that takes a deployment over continues at any of them.

/** Waits until its version is proved ready. @throws KilnError with why it is not; the reason of `signal` */
export async function awaitProof(parts: ReleaseParts, deployment: Deployment, startTimeout: number, signal: AbortSignal): Promise<void> {
  const { functions } = parts;
  const { function: name, version = 0 } = deployment.record;
  const proof = {
    version: () => functions.version(name, version),
    proveOn: (_name: string, _version: number, node: string) => functions.proveOn(name, version, node),
    markFailed: (_name: string, _version: number, failure: { code: string; detail: string }) =>
      functions.markFailed(name, version, failure),
    withdraw: () => deployment.change((step) => functions.withdraw(name, version, [step])),
  };
  const boundMs = startTimeout + PROOF_MARGIN_MS;
  const either = AbortSignal.any([signal, deployment.signal]);
  await new PendingProof({ ...parts, functions: proof }, { name, version, boundMs, signal: either }).ready();
}

/** Has the nodes start instances, right before the traffic moves. Does nothing if that was done before. */
export async function readyNodes(parts: ReleaseParts, deployment: Deployment): Promise<void> {
  const { function: name, version = 0, replaces } = deployment.record;
  if (deployment.record.state === 'proving') await deployment.reach('warming', { waits: false });
  if (deployment.record.state !== 'warming') return;
  await warmUp(parts, { name, version, serving: replaces === undefined ? await servedBy(parts, name) : [replaces] });
  await deployment.reach('switching');
}

/** A version that is ready gets the traffic, where it was made for that. @throws KilnError as `switchTraffic` */
export async function giveTraffic(parts: ReleaseParts, deployment: Deployment): Promise<FunctionRecord | undefined> {
  const { function: name, version = 0, traffic, replaces } = deployment.record;
  if (traffic === 'none') {
    await deployment.reach('done');
    return undefined;
  }
  await readyNodes(parts, deployment);
  if (replaces !== undefined) {
    await finishRenewal(parts, deployment);
    return undefined;
  }
  const { functions, announcer } = parts;
  const setTraffic: typeof functions.setTraffic = (_name, shares, options) =>
    deployment.move('done', (step) => functions.setTraffic(name, shares, { ...options, steps: [step()] }));
  const record = await switchTraffic({ get: () => functions.get(name), setTraffic }, name, version);
  await deployment.reach('done');
  await announcer.functionChanged(name);
  return record;
}

/** The versions that have traffic. */
async function servedBy({ functions }: Pick<ReleaseParts, 'functions'>, name: string): Promise<number[]> {
  const { traffic = [] } = (await functions.get(name)) ?? {};
  return traffic.filter(({ weight }) => weight > 0).map(({ version }) => version);
}
