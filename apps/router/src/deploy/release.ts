import type { FunctionRecord } from '@kiln/contract/records/records';
import type { AgentsClient } from '../agents/agents-client.js';
import type { NodeTable } from '../placement/node-table.js';
import { switchTraffic } from '../traffic/switch-traffic.js';
import { PendingProof, type ProofParts } from './await-proof.js';
import type { Deployment } from './deployment.js';
import { finishRenewal, type RenewParts } from './renew.js';

/** Nodes have so long, beyond the version's own `startTimeout`, to notice the version, to fetch its image and to find room. */
const PROOF_MARGIN_MS = 60_000;

export interface ReleaseParts extends Pick<ProofParts, 'catalog'>, Pick<RenewParts, 'functions' | 'announcer'> {
  nodes: NodeTable;
  agents: AgentsClient;
}

// The steps of a version from its number to the traffic. A router that takes a deployment over continues at any of them.

/** Waits until its version is proved ready. @throws KilnError with why it is not; the reason of `signal` */
export async function awaitProof(parts: ReleaseParts, deployment: Deployment, startTimeout: number, signal: AbortSignal): Promise<void> {
  const { function: name, version = 0 } = deployment.record;
  const withdraw = () => deployment.change((step) => parts.functions.withdraw(name, version, [step]));
  const either = AbortSignal.any([signal, deployment.signal]);
  await new PendingProof(parts, { name, version, boundMs: startTimeout + PROOF_MARGIN_MS, signal: either, withdraw }).ready();
}

/**
 * Right before the traffic moves, each node starts as many instances of the version as run of the ones it replaces. This is done once.
 * A node that fails or is late does not stop it: what is not ready by then starts when it is called.
 */
export async function readyNodes({ functions, nodes, agents }: ReleaseParts, deployment: Deployment): Promise<void> {
  const { function: name, version = 0, replaces } = deployment.record;
  if (deployment.record.state === 'proving') await deployment.reach('warming', { waits: false });
  if (deployment.record.state !== 'warming') return;
  const replaced = replaces === undefined ? (await functions.get(name))?.traffic : [{ version: replaces, weight: 100 }];
  const serving = (replaced ?? []).filter(({ weight }) => weight > 0).map((share) => share.version);
  if (serving.length > 0) await Promise.allSettled(nodes.live().map(({ record }) => agents.warm(record, { name, version, serving })));
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
