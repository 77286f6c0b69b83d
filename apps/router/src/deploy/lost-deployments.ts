import { KilnError } from '@kiln/contract/errors';
import type { DeploymentState } from '@kiln/contract/records/deployment';
import type { LostDeployment } from '@kiln/state/deployments/deployment-store';
import { repeat } from '@kiln/state/store/single-flight';
import type { Deployment, OwnDeployments } from './deployment.js';
import { awaitProof, giveTraffic, type ReleaseParts } from './release.js';

/** No event tells that somebody is silent. */
const EVERY_MS = 1000;

export interface LostParts extends ReleaseParts {
  deployments: OwnDeployments;
  log: { info(details: object, message: string): void; error(details: object, message: string): void };
}

type Finish = (parts: LostParts, deployment: Deployment, lostRouter: string) => Promise<unknown>;

/** What becomes of a deployment whose router is lost, by how far it had come. */
const FINISH: Readonly<Record<DeploymentState, Finish>> = {
  building: async (_parts, _deployment, router) => {
    throw new KilnError('unavailable', `the router ${router} was lost while it built: deploy again`);
  },
  proving: async (parts, deployment, router) => {
    // The others of the push may not be proved, and its commit is not on main: none of them gets the traffic.
    if (deployment.record.waits === true) throw new KilnError('unavailable', `the router ${router} was lost during a push: push again`);
    await proved(parts, deployment);
    await giveTraffic(parts, deployment);
  },
  warming: giveTraffic,
  switching: giveTraffic,
  done: async () => undefined,
  failed: async () => undefined,
};

/** Finishes or undoes what routers have left that are silent. Every router looks for them; one gets each. */
export class LostDeployments {
  stop: () => void = () => undefined;
  /** Those that were lost at the last look: a router that was only cut off has until the next one to keep its own. */
  private seen = new Map<string, string>();

  constructor(private readonly parts: LostParts) {}

  start(): void {
    this.stop = repeat(EVERY_MS, () => this.look());
  }

  private async look(): Promise<void> {
    try {
      const lost = await this.parts.deployments.lost();
      const before = this.seen;
      this.seen = new Map(lost.map(({ id, leaseEnded }) => [id, leaseEnded]));
      await Promise.all(lost.filter(({ id, leaseEnded }) => before.get(id) === leaseEnded).map((each) => this.takeOver(each)));
    } catch (error) {
      this.seen.clear();
      this.report(error);
    }
  }

  /** Never rejects: one that can't be taken over now is seen again. */
  private async takeOver(lost: LostDeployment): Promise<void> {
    try {
      const taken = await this.parts.deployments.takeOver(lost);
      if (taken !== undefined) void this.finish(taken.deployment, taken.lostRouter);
    } catch (error) {
      this.report(error);
    }
  }

  private async finish(deployment: Deployment, lostRouter: string): Promise<void> {
    const { record } = deployment;
    try {
      await FINISH[record.state](this.parts, deployment, lostRouter);
    } catch (error) {
      await deployment.fail(error);
      if (!(error instanceof KilnError)) this.report(error);
    }
    const { state, version, failure } = deployment.record;
    this.parts.log.info(
      { function: record.function, version, lostRouter, from: record.state, state, failure },
      'lost deployment taken over',
    );
  }

  private report(error: unknown): void {
    // That the store is away is logged once, where its connection is; records of a later Kiln are left to it.
    if (error instanceof KilnError) return;
    this.parts.log.error({ err: error }, 'lost deployments could not be taken over');
  }
}

/** Here nobody waits for the answer: nobody can leave. */
async function proved(parts: LostParts, deployment: Deployment): Promise<void> {
  const { function: name, version: number = 0 } = deployment.record;
  const version = await parts.functions.version(name, number);
  if (version === undefined) throw new KilnError('conflict', `version ${number} of "${name}" was removed while it was deployed`);
  await awaitProof(parts, deployment, version.config.startTimeout, new AbortController().signal);
}
