import { KilnError } from '@kiln/contract/errors';
import type { FunctionRecord } from '@kiln/contract/records/records';
import type { RolloutRecord } from '@kiln/contract/records/rollout';
import { isOfLaterSchema } from '@kiln/contract/stored';
import type { FunctionStore } from '@kiln/state/functions/function-store';
import type { RolloutStore } from '@kiln/state/functions/rollout-store';
import { repeat } from '@kiln/state/store/single-flight';
import type { InvocationRecord } from '../invoke/invocation.js';
import type { Announcer } from '../view/announcer.js';
import type { Catalog } from '../view/catalog.js';
import { abort, advance, type StageDecision, stageKey, verdictOn } from './rollout-step.js';
import { Tally, together } from './rollout-tally.js';

const EVERY_MS = 1000;
/** A router that renews its lease no more loses the rollout to another router after this time. */
const LEASE_MS = 5000;

export interface RolloutParts {
  functions: FunctionStore;
  rollouts: RolloutStore;
  catalog: Catalog;
  announcer: Announcer;
  /** Called for each request to a function; `Rollouts` adds itself while a rollout runs. */
  observers: Set<(record: InvocationRecord) => void>;
  /** Names this process; a later process gets another one. */
  router: string;
  log: { info(details: object, message: string): void; error(details: object, message: string): void };
}

/** What this router counts in one stage of one rollout. */
interface Window {
  key: string;
  version: number;
  fresh: Tally;
  old: Tally;
  /** Since when this router has had the lease, by `performance.now()`; undefined while another has it. */
  leasedAt: number | undefined;
}

/**
 * Watches rollouts and moves them on. Every router counts the requests that it sees and tells the store once a second; the one that
 * has the lease adds them up and decides. All that must last is in the function's record and in the store, so any router may end
 * at any moment.
 */
export class Rollouts {
  private readonly windows = new Map<string, Window>();
  stop: () => void = () => undefined;

  constructor(private readonly parts: RolloutParts) {}

  start(): void {
    this.stop = repeat(EVERY_MS, () => this.pass());
  }

  /** Part of every request: two look-ups at most, and counters. */
  readonly observe = (record: Pick<InvocationRecord, 'function' | 'version' | 'status' | 'end' | 'execMs'>): void => {
    const window = this.windows.get(record.function);
    if (window === undefined) return;
    (record.version === window.version ? window.fresh : window.old).add(record);
  };

  private async pass(): Promise<void> {
    const running = this.parts.catalog.known.map((entry) => entry.function).filter(isRunning);
    const { observers } = this.parts;
    if (running.length > 0) observers.add(this.observe);
    else observers.delete(this.observe);
    const names = new Set(running.map(({ name }) => name));
    for (const name of this.windows.keys()) if (!names.has(name)) this.windows.delete(name);
    await Promise.all(running.map((record) => this.follow(record)));
  }

  /** Never rejects: after a failure the next pass tries again. */
  private async follow(record: Running): Promise<void> {
    try {
      const { rollouts, router } = this.parts;
      const window = this.windowOf(record);
      await rollouts.report(record.name, router, { stage: window.key, fresh: window.fresh.toRecord(), old: window.old.toRecord() });
      const leased = await rollouts.lease(record.name, router, LEASE_MS);
      window.leasedAt = leased ? (window.leasedAt ?? performance.now()) : undefined;
      if (leased) await this.move(record, await this.decide(record, window));
    } catch (error) {
      // The connection logs an outage, once.
      if (error instanceof KilnError && error.code === 'unavailable') return;
      this.parts.log.error({ err: error, function: record.name }, 'rollout check failed');
    }
  }

  private windowOf({ name, rollout }: Running): Window {
    const key = stageKey(rollout);
    const before = this.windows.get(name);
    if (before?.key === key) return before;
    const window: Window = { key, version: rollout.version, fresh: new Tally(), old: new Tally(), leasedAt: undefined };
    this.windows.set(name, window);
    return window;
  }

  private async decide({ name, rollout }: Running, { key, leasedAt = performance.now() }: Window): Promise<StageDecision> {
    const counts = (await this.parts.rollouts.counts(name)).filter(({ stage }) => stage === key);
    return verdictOn(rollout, {
      fresh: together(counts.map(({ fresh }) => fresh)),
      old: together(counts.map(({ old }) => old)),
      lastedMs: Date.now() - Date.parse(rollout.stageStartedAt),
      watchedMs: performance.now() - leasedAt,
    });
  }

  private async move({ name, rollout: seen }: Running, verdict: StageDecision): Promise<void> {
    if (verdict.kind === 'stay') return;
    const { functions, announcer, log } = this.parts;
    const now = new Date().toISOString();
    const { rollout } = await functions.stepRollout(name, ({ rollout: stored }) => {
      // The decision is about the stage that was read. Another router may have changed it since.
      if (stored?.state !== 'running' || stageKey(stored) !== stageKey(seen)) return undefined;
      return verdict.kind === 'abort' ? abort(stored, verdict.reason, now) : advance(stored, now);
    });
    await announcer.functionChanged(name);
    log.info(
      { function: name, version: seen.version, stage: rollout?.stage, state: rollout?.state, reason: rollout?.reason },
      'rollout advanced',
    );
  }
}

type Running = FunctionRecord & { rollout: RolloutRecord };

/** A later version of Kiln began a rollout of a later schema; only such a router moves it on. */
function isRunning(record: FunctionRecord): record is Running {
  return record.rollout?.state === 'running' && !isOfLaterSchema(record);
}
