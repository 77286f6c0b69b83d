import { type DeploymentRecord, deploymentRecord, hasEnded } from '@kiln/contract/records/deployment';
import { deploymentsKey, OPEN_DEPLOYMENTS } from '../store/keys.js';
import { readForChange, readRecords } from '../store/read-record.js';
import type { Store } from '../store/store.js';
import { BEGIN, CLAIM, LOST_DEPLOYMENTS, STEP_ONLY } from './deployment-scripts.js';
import { changeWithSteps, type DeploymentStep } from './deployment-step.js';

/** Ended deployments kept of each function. */
const KEPT = 20;
const MOST_LOST = 100;

/** A deployment whose router has been silent for too long. */
export interface LostDeployment {
  function: string;
  id: string;
  /** When its lease ended, by the store's clock: another value means that its router is back. */
  leaseEnded: string;
}

/** The records of deployments, and who carries out those that are under way. */
export class DeploymentStore {
  constructor(private readonly store: Store) {}

  /** @throws KilnError `unavailable` */
  async begin(step: DeploymentStep): Promise<void> {
    const { function: name } = step.record;
    const ended = (await this.list(name)).filter(hasEnded).slice(KEPT - 1);
    const change = { script: BEGIN, keys: [deploymentsKey(name)], values: ended.map(({ id }) => id) };
    await changeWithSteps(this.store, change, '', [step]);
  }

  /** A step without anything else; also one that only keeps the lease. @throws TakenOver, KilnError `unavailable` */
  async take(step: DeploymentStep): Promise<void> {
    await changeWithSteps(this.store, { script: STEP_ONLY, keys: [], values: [] }, '', [step]);
  }

  /** Takes a lost deployment over; false where its router is back. @throws TakenOver where another was first */
  async claim(step: DeploymentStep): Promise<boolean> {
    const change = { script: CLAIM, keys: [OPEN_DEPLOYMENTS], values: [`${step.record.function} ${step.record.id}`] };
    return (await changeWithSteps(this.store, change, '', [step])) === 1;
  }

  /** Newest first, as far as they can be read here. */
  async list(name: string): Promise<DeploymentRecord[]> {
    const key = deploymentsKey(name);
    const hash = await this.store.desired.hash(key);
    return readRecords(this.store, deploymentRecord, hash, key).sort((a, b) => (a.startedAt < b.startedAt ? 1 : -1));
  }

  /** One of them with its text. @throws KilnError `conflict` for one that only a later Kiln can change */
  async find(name: string, id: string): Promise<{ text: string; record: DeploymentRecord } | undefined> {
    const key = deploymentsKey(name);
    const text = await this.store.desired.readOne<string | null>((pipeline) => pipeline.hget(key, id));
    const record = readForChange(this.store, deploymentRecord, text, `${key} ${id}`);
    return text === null || record === undefined ? undefined : { text, record };
  }

  async lost(): Promise<LostDeployment[]> {
    const reply = (await this.store.run((redis) => redis.eval(LOST_DEPLOYMENTS, 1, OPEN_DEPLOYMENTS, MOST_LOST))) as string[];
    return Array.from({ length: reply.length / 2 }, (_, i) => {
      const [name = '', id = ''] = (reply[2 * i] ?? '').split(' ');
      return { function: name, id, leaseEnded: reply[2 * i + 1] ?? '' };
    });
  }

  /** The record of an open deployment is gone: nobody can finish it. */
  async forget({ function: name, id }: LostDeployment): Promise<void> {
    await this.store.run((redis) => redis.zrem(OPEN_DEPLOYMENTS, `${name} ${id}`));
  }
}
