import type { Origin } from '@kiln/contract/api/control-api';
import { KilnError } from '@kiln/contract/errors';
import { type FunctionRecord, functionRecord, type VersionRecord, versionRecord } from '@kiln/contract/records/records';
import type { SecretRevision } from '@kiln/contract/records/secrets';
import type { Traffic } from '@kiln/contract/records/traffic';
import { changeWithSteps, type DeploymentStep } from '../deployments/deployment-step.js';
import { untilFirst } from '../store/desired-state.js';
import { checkedVersion, FUNCTIONS, keysOfFunction, NUMBERS, SECRET_VALUES, versionsKey } from '../store/keys.js';
import { readForChange, readRecord, readRecords } from '../store/read-record.js';
import { CREATE_VERSION, REMOVE_FUNCTION, REPLACE_RECORD, WITHDRAW_RECORD } from '../store/scripts.js';
import type { Store } from '../store/store.js';
import type { FunctionWithVersions } from './function-entry.js';
import { FunctionList } from './function-list.js';
import { functionNotFound, GONE, requireRevision, secretFields, secretGone, versionNotFound } from './missing.js';
import type { StoredFunctions } from './packed-versions.js';
import { versionsToRemove } from './retention.js';
import { changed, newFunction, withTraffic } from './traffic-change.js';
import { neededSecrets, type VersionNeeds, versionNeeds } from './version-needs.js';
import { movedTo, refused, settled } from './version-proof.js';

export type VersionDraft = Omit<VersionRecord, 'version' | 'state' | 'failure' | 'refusal' | 'createdAt' | 'function'>;

export interface TrafficOptions {
  expectedRevision?: number;
  /** Left out, it stays as it is. */
  sticky?: boolean;
  /** Of deployments that the change belongs to: done in one step with it. */
  steps?: readonly DeploymentStep[];
}

export interface NewVersionOptions {
  project?: string | undefined;
  /** Of the deployment that makes it: done in one step with it. */
  step?(version: number): DeploymentStep;
}

export type RolloutStep = Pick<FunctionRecord, 'traffic' | 'previousTraffic' | 'rollout'>;

/** Functions and versions: the desired state. */
export class FunctionStore {
  private readonly all: FunctionList;

  constructor(private readonly store: Store) {
    this.all = new FunctionList(store);
  }

  async get(name: string): Promise<FunctionRecord | undefined> {
    versionsKey(name);
    return readRecord(this.store, functionRecord, await this.field(FUNCTIONS, name), `${FUNCTIONS} ${name}`);
  }

  /** In order; empty for a function that does not exist. */
  async versions(name: string): Promise<VersionRecord[]> {
    const key = versionsKey(name);
    return this.versionsOf(await this.store.desired.hash(key), key);
  }

  async version(name: string, version: number): Promise<VersionRecord | undefined> {
    const key = versionsKey(name);
    return readRecord(this.store, versionRecord, await this.field(key, checkedVersion(version)), `${key} ${version}`);
  }

  /** Everything at once; the same list again, not a copy, while nothing has changed. */
  listAll(): Promise<readonly FunctionWithVersions[]> {
    return this.all.all();
  }

  /** What all stored versions need, those that can't be read here included. */
  async needs(): Promise<VersionNeeds[]> {
    return versionNeeds(await this.stored());
  }

  /** The revisions of secrets that stored versions need. */
  async neededSecrets(): Promise<SecretRevision[]> {
    return neededSecrets(await this.stored());
  }

  /** Everything as it is stored. */
  stored(): Promise<StoredFunctions> {
    return this.all.stored();
  }

  /**
   * Adds the next version, and the function if it is the first. A number is never given twice, not even after a removal. In the same
   * step old versions that nothing needs go.
   * @throws KilnError `conflict` when a revision of a secret that it was made with is gone
   */
  createVersion(name: string, draft: VersionDraft, { project, step }: NewVersionOptions = {}): Promise<VersionRecord> {
    const keys = [FUNCTIONS, versionsKey(name), NUMBERS, SECRET_VALUES];
    const secrets = secretFields([draft]);
    return untilFirst('function', async () => {
      const { replies } = await this.store.desired.read((pipeline) => pipeline.hget(FUNCTIONS, name).hget(NUMBERS, name));
      const [functionRaw, numberRaw] = replies as [string | null, string | null];
      const before = this.forChange(name, functionRaw);
      const number = Math.max(before?.lastVersion ?? 0, Number(numberRaw ?? 0)) + 1;
      const now = new Date().toISOString();
      const next: FunctionRecord = { ...(before ?? newFunction(name, now)), lastVersion: number, updatedAt: now };
      next.revision += 1;
      if (project !== undefined) next.project = project;
      const version: VersionRecord = { ...draft, function: name, version: number, state: 'pending', createdAt: now };
      const values = [name, functionRaw ?? '', numberRaw ?? '', number, JSON.stringify(next), JSON.stringify(version)];
      const more = [secrets.length, ...secrets, ...(await this.outlived(name, next, version))];
      const change = { script: CREATE_VERSION, keys, values: [...values, ...more] };
      const done = await changeWithSteps(this.store, change, name, step === undefined ? [] : [step(number)]);
      if (done === GONE) throw secretGone(name);
      return done === 1 ? version : undefined;
    });
  }

  /** A pinned version is kept, however old it is. @throws KilnError `version_not_found` */
  pin(name: string, version: number, pinned: boolean): Promise<VersionRecord> {
    return this.changeVersion(name, version, ({ pinned: before = false, ...rest }) => {
      if (before === pinned) return undefined;
      return pinned ? { ...rest, pinned } : rest;
    });
  }

  markReady(name: string, version: number): Promise<VersionRecord> {
    return this.changeVersion(name, version, (before) => settled(before, { state: 'ready' }));
  }

  markFailed(name: string, version: number, failure: NonNullable<VersionRecord['failure']>): Promise<VersionRecord> {
    return this.changeVersion(name, version, (before) => settled(before, { state: 'failed', failure }));
  }

  /** A node could not try to start a version that it is to prove. */
  noteRefusal(name: string, version: number, refusal: NonNullable<VersionRecord['refusal']>): Promise<VersionRecord> {
    return this.changeVersion(name, version, (before) => refused(before, refusal));
  }

  proveOn(name: string, version: number, node: string): Promise<VersionRecord> {
    return this.changeVersion(name, version, (before) => movedTo(node, before));
  }

  /** Takes out a version that was never proved; one that is ready or failed stays. Gives what is left of it. */
  withdraw(name: string, number: number, steps: readonly DeploymentStep[] = []): Promise<VersionRecord | 'withdrawn'> {
    const key = versionsKey(name);
    return untilFirst('function', async () => {
      const found = await this.versionForChange(name, number);
      if (found === undefined) return 'withdrawn';
      if (found.record.state !== 'pending') return found.record;
      const change = { script: WITHDRAW_RECORD, keys: [key], values: [String(number), found.raw] };
      return (await changeWithSteps(this.store, change, name, steps)) === 1 ? 'withdrawn' : undefined;
    });
  }

  /** Writes down where a version that is there already came from again; what is not said stays as it was. */
  async noteOrigin(name: string, version: number, { sourceDigest, project }: Origin): Promise<void> {
    if (sourceDigest !== undefined) {
      await this.changeVersion(name, version, (before) => (before.sourceDigest === sourceDigest ? before : { ...before, sourceDigest }));
    }
    if (project !== undefined) {
      await this.changeFunction(name, async (before) =>
        before.project === project ? before : { ...before, project, revision: before.revision + 1 },
      );
    }
  }

  /**
   * Moves the pointer. Every version named must be ready.
   * @throws KilnError `function_not_found`, `version_not_found`, `conflict` for a stale revision, a version that is not ready, or
   * one whose secrets were removed
   */
  setTraffic(name: string, traffic: Traffic, options: TrafficOptions = {}): Promise<FunctionRecord> {
    const next = (before: FunctionRecord) => {
      const { expectedRevision, sticky = before.sticky } = options;
      requireRevision(before, expectedRevision);
      return withTraffic(before, traffic, sticky, new Date().toISOString());
    };
    return this.moveTraffic(name, next, options.steps);
  }

  /**
   * Begins a rollout, or moves it on together with the traffic. `step` is asked again if someone else wrote meanwhile; without an
   * answer nothing of the function changes.
   * @throws KilnError as `setTraffic`, and what `step` throws
   */
  stepRollout(
    name: string,
    step: (before: FunctionRecord) => RolloutStep | undefined,
    steps?: readonly DeploymentStep[],
  ): Promise<FunctionRecord> {
    const next = (before: FunctionRecord) => {
      const after = step(before);
      return after && changed(before, after, new Date().toISOString());
    };
    return this.moveTraffic(name, next, steps);
  }

  /** @throws KilnError `function_not_found` */
  async remove(name: string): Promise<void> {
    if ((await this.store.desired.change(REMOVE_FUNCTION, keysOfFunction(name), [name], name)) !== 1) throw functionNotFound(name);
  }

  /** Versions that go when a new one comes, each with its record as read: one that changes meanwhile stays. */
  private async outlived(name: string, record: FunctionRecord, added: VersionRecord): Promise<string[]> {
    const key = versionsKey(name);
    const hash = await this.store.desired.hash(key);
    const gone = versionsToRemove(record, [...this.versionsOf(hash, key), added]).map(({ version }) => String(version));
    return gone.flatMap((field) => [field, hash[field] ?? '']);
  }

  private moveTraffic(
    name: string,
    next: (before: FunctionRecord) => FunctionRecord | undefined,
    steps?: readonly DeploymentStep[],
  ): Promise<FunctionRecord> {
    let needed: VersionRecord[] = [];
    const change = async (before: FunctionRecord) => {
      const after = next(before);
      if (after === undefined) return before;
      needed = await this.requireReady(name, after.traffic);
      return after;
    };
    return this.changeFunction(name, change, () => secretFields(needed), steps);
  }

  private async changeFunction(
    name: string,
    change: (before: FunctionRecord) => Promise<FunctionRecord>,
    secrets: () => string[] = () => [],
    steps: readonly DeploymentStep[] = [],
  ): Promise<FunctionRecord> {
    versionsKey(name);
    return untilFirst('function', async () => {
      const raw = await this.field(FUNCTIONS, name);
      const before = this.forChange(name, raw);
      if (raw === null || before === undefined) throw functionNotFound(name);
      const after = await change(before);
      if (after === before && steps.length === 0) return before;
      return (await this.replace(name, FUNCTIONS, name, raw, after, secrets(), steps)) ? after : undefined;
    });
  }

  private changeVersion(
    name: string,
    number: number,
    change: (before: VersionRecord) => VersionRecord | undefined,
  ): Promise<VersionRecord> {
    return untilFirst('function', async () => {
      const found = await this.versionForChange(name, number);
      if (found === undefined) throw versionNotFound(name, number);
      const after = change(found.record) ?? found.record;
      return after === found.record || (await this.replace(name, versionsKey(name), String(number), found.raw, after)) ? after : undefined;
    });
  }

  private async requireReady(name: string, traffic: Traffic): Promise<VersionRecord[]> {
    const versions = new Map((await this.versions(name)).map((record) => [record.version, record]));
    return traffic.map(({ version }) => {
      const found = versions.get(version);
      if (found === undefined) throw versionNotFound(name, version);
      if (found.state !== 'ready') throw new KilnError('conflict', `version ${version} of "${name}" is ${found.state}, not ready`);
      return found;
    });
  }

  private async versionForChange(name: string, version: number): Promise<{ raw: string; record: VersionRecord } | undefined> {
    const key = versionsKey(name);
    const raw = await this.field(key, checkedVersion(version));
    const record = readForChange(this.store, versionRecord, raw, `${key} ${version}`);
    return raw === null || record === undefined ? undefined : { raw, record };
  }

  private async replace(
    of: string,
    key: string,
    field: string,
    before: string,
    after: object,
    secrets: readonly string[] = [],
    steps: readonly DeploymentStep[] = [],
  ): Promise<boolean> {
    const change = { script: REPLACE_RECORD, keys: [key, SECRET_VALUES], values: [field, before, JSON.stringify(after), ...secrets] };
    const done = await changeWithSteps(this.store, change, of, steps);
    if (done === GONE) throw secretGone(field);
    return done === 1;
  }

  private field(key: string, field: string): Promise<string | null> {
    return this.store.desired.readOne((pipeline) => pipeline.hget(key, field));
  }

  private forChange(name: string, raw: string | null): FunctionRecord | undefined {
    return readForChange(this.store, functionRecord, raw, `${FUNCTIONS} ${name}`);
  }

  private versionsOf(hash: unknown, key: string): VersionRecord[] {
    return readRecords(this.store, versionRecord, hash, key).sort((a, b) => a.version - b.version);
  }
}
