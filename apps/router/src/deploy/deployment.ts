import { randomBytes, randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { KilnError } from '@kiln/contract/errors';
import { type DeploymentRecord, type DeploymentState, hasEnded, mayMove } from '@kiln/contract/records/deployment';
import { type DeploymentStep, TakenOver } from '@kiln/state/deployments/deployment-step';
import type { DeploymentStore, LostDeployment } from '@kiln/state/deployments/deployment-store';

/** A router that has been silent for so long loses its deployments to another one. */
const LEASE_MS = 5000;
const KEEP_EVERY_MS = 1500;
/** So long a step waits for a store that is away. */
const STORE_AWAY_MS = 10_000;
const RETRY_MS = 200;
const MAX_DETAIL_CHARS = 2000;

/** What is known of a deployment when it begins. */
export type NewDeployment = Pick<DeploymentRecord, 'function' | 'replaces' | 'traffic' | 'waits' | 'createdBy' | 'message'>;
type Changes = Partial<Pick<DeploymentRecord, 'version' | 'digest' | 'failure' | 'waits'>>;
type MakeStep = (changes?: Changes) => DeploymentStep;

/** The deployments that this router carries out. */
export class OwnDeployments {
  private readonly own = new Set<string>();
  private readonly router = `${hostname().slice(0, 200)}-${randomBytes(3).toString('hex')}`;

  constructor(private readonly store: DeploymentStore) {}

  /** @throws KilnError `unavailable` */
  async begin(about: NewDeployment): Promise<Deployment> {
    const now = new Date().toISOString();
    const record: DeploymentRecord = { ...about, id: randomUUID(), state: 'building', router: this.router, startedAt: now, updatedAt: now };
    await this.store.begin({ before: '', record, leaseMs: LEASE_MS });
    return this.hold(record);
  }

  /** Of routers that are silent, and those that this one has given up itself. */
  async lost(): Promise<LostDeployment[]> {
    return (await this.store.lost()).filter(({ id }) => !this.own.has(id));
  }

  /** Undefined where its router is back, or another one was first. */
  async takeOver(lost: LostDeployment): Promise<{ deployment: Deployment; lostRouter: string } | undefined> {
    const found = await this.store.find(lost.function, lost.id);
    if (found === undefined || hasEnded(found.record)) {
      await this.store.forget(lost);
      return undefined;
    }
    const record = { ...found.record, router: this.router, updatedAt: new Date().toISOString() };
    try {
      const claimed = await this.store.claim({ before: found.text, record, leaseMs: LEASE_MS });
      return claimed ? { deployment: this.hold(record), lostRouter: found.record.router } : undefined;
    } catch (error) {
      if (error instanceof TakenOver) return undefined;
      throw error;
    }
  }

  private hold(record: DeploymentRecord): Deployment {
    this.own.add(record.id);
    return new Deployment(this.store, record, () => this.own.delete(record.id));
  }
}

/** A deployment of this router, with its lease. Once another has taken it over, each step is refused; `signal` says so soon. */
export class Deployment {
  private text: string;
  private moving = 0;
  private keeping: Promise<void> | undefined;
  private readonly gone = new AbortController();
  /** Aborted with TakenOver. */
  readonly signal: AbortSignal = this.gone.signal;
  private readonly timer = setInterval(() => this.keepLease(), KEEP_EVERY_MS).unref();

  constructor(
    private readonly store: DeploymentStore,
    /** As it was written last; only this class writes it. */
    public record: DeploymentRecord,
    private readonly onEnd: () => void,
  ) {
    this.text = JSON.stringify(record);
  }

  /** Comes into a state by a step of its own; nothing where it has ended. @throws TakenOver, KilnError `unavailable` */
  async reach(to: DeploymentState, changes: Changes = {}, awayMs: number = STORE_AWAY_MS): Promise<void> {
    const deadline = performance.now() + awayMs;
    while (!hasEnded(this.record) && this.record.state !== to) {
      try {
        await this.move(to, (step) => this.store.take(step(changes)));
      } catch (error) {
        if (!(error instanceof KilnError) || error instanceof TakenOver) throw error;
        if (error.code === 'unavailable' && performance.now() < deadline) await delay(RETRY_MS);
        else if (error.code !== 'conflict') throw error;
      }
    }
  }

  /** Comes into a state in one step with what `write` changes. @throws TakenOver, and what `write` throws */
  move<T>(to: DeploymentState, write: (step: MakeStep) => Promise<T>): Promise<T> {
    if (!mayMove(this.record.state, to)) throw new Error(`a deployment that is ${this.record.state} can't be ${to}`);
    return this.write(to, write);
  }

  /** A change that only who has the deployment may make. @throws as `move` */
  change<T>(write: (step: DeploymentStep) => Promise<T>): Promise<T> {
    return this.write(this.record.state, (step) => write(step()));
  }

  /** Never rejects: what can't be written now is left to whoever finds the deployment lost. */
  async fail(error: unknown): Promise<void> {
    const { code, message } = error instanceof KilnError ? error : new KilnError('internal', (error as Error).message);
    const { version } = this.record;
    const left = version === undefined ? '' : ` (version ${version} has got no traffic by this deployment)`;
    await this.reach('failed', { failure: { code, detail: `${message.slice(0, MAX_DETAIL_CHARS)}${left}` } }, 0).catch(() => undefined);
    this.end();
  }

  private async write<T>(to: DeploymentState, write: (step: MakeStep) => Promise<T>): Promise<T> {
    let next = this.record;
    const step: MakeStep = (changes = {}) => {
      if (to !== this.record.state) next = { ...this.record, ...changes, state: to, updatedAt: new Date().toISOString() };
      return { before: this.text, record: next, leaseMs: LEASE_MS };
    };
    this.moving += 1;
    try {
      await this.keeping;
      const result = await write(step);
      this.adopt(next, JSON.stringify(next));
      return result;
    } catch (error) {
      if (!(error instanceof TakenOver)) throw error;
      await this.lookAgain();
      throw this.signal.aborted ? error : new KilnError('conflict', 'the deployment had moved by a write whose answer was lost');
    } finally {
      this.moving -= 1;
    }
  }

  private keepLease(): void {
    if (this.moving > 0 || this.keeping !== undefined) return;
    this.keeping = this.store
      .take({ before: this.text, record: this.record, leaseMs: LEASE_MS })
      .then(() => this.adopt(this.record, JSON.stringify(this.record)))
      .catch((error: unknown) => (error instanceof TakenOver ? this.lookAgain() : undefined))
      // The store is away: the lease may run out, and is kept again where nobody takes the deployment meanwhile.
      .catch(() => undefined)
      .finally(() => {
        this.keeping = undefined;
      });
  }

  /** Its record is not as it was known: it has moved by a write of ours whose answer was lost, or another router has it. */
  private async lookAgain(): Promise<void> {
    const found = await this.store.find(this.record.function, this.record.id);
    if (found?.record.router === this.record.router) return this.adopt(found.record, found.text);
    this.gone.abort(new TakenOver(this.record.function));
    this.end();
  }

  private adopt(record: DeploymentRecord, text: string): void {
    this.record = record;
    this.text = text;
    if (hasEnded(record)) this.end();
  }

  private end(): void {
    clearInterval(this.timer);
    this.onEnd();
  }
}
