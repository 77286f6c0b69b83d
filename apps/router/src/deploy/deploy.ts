import type { Readable } from 'node:stream';
import { isDeepStrictEqual } from 'node:util';
import type { BuildLine, BuiltImage, Deployed } from '@kiln/contract/api/control-api';
import { readFailure } from '@kiln/contract/api/problem';
import { type FunctionConfig, type FunctionConfigInput, resolveConfig } from '@kiln/contract/config/function-config';
import { KilnError } from '@kiln/contract/errors';
import { type FunctionRecord, type NodeRecord, type VersionRecord, versionRecord } from '@kiln/contract/records/records';
import type { SecretRevisions } from '@kiln/contract/records/secrets';
import { isOfLaterSchema, unknownKeys } from '@kiln/contract/stored';
import type { FunctionStore, VersionDraft } from '@kiln/state/functions/function-store';
import { functionNotFound, requireRevision } from '@kiln/state/functions/missing';
import type { AgentsClient, StepInputs } from '../agents/agents-client.js';
import type { NodeTable } from '../placement/node-table.js';
import type { VersionSecrets } from '../secrets/secrets.js';
import type { Deployment, NewDeployment, OwnDeployments } from './deployment.js';
import { isImageLost } from './lost-image.js';
import { awaitProof, giveTraffic, type ReleaseParts, readyNodes } from './release.js';
import { renew } from './renew.js';

/** Enough of a digest to tell it from others. */
const SHOWN_DIGEST = 12;

export interface DeployParts extends ReleaseParts {
  functions: FunctionStore;
  nodes: NodeTable;
  agents: AgentsClient;
  deployments: OwnDeployments;
  secrets: VersionSecrets;
  urlOf(name: string): string;
}

/** Who made a version, why, and from what. */
export type VersionNote = Pick<VersionRecord, 'createdBy' | 'message' | 'sourceDigest'> &
  Pick<FunctionRecord, 'project'> & { traffic?: 'none' };

interface Release extends VersionNote {
  home: NodeRecord;
  image: string;
  digest: string;
  kind: BuiltImage['kind'];
  config: FunctionConfig;
  /** What a later Kiln wrote of the version that it is made from. */
  ofLater?: object;
}

/** A version that runs and has no traffic yet. */
export interface Proven {
  /** Gives it the traffic. */
  serve(): Promise<Deployed>;
  /** It gets none, for this reason. Nothing where it serves or has failed to. */
  abandon(reason: unknown): Promise<void>;
}

type SentBuild = Parameters<AgentsClient['build']>[1];
type LogLine = Extract<BuildLine, { type: 'log' }>;

/** The way of a deployment, middle part: from a source or an image to a version that has the traffic. */
export class Deployments {
  constructor(readonly parts: DeployParts) {}

  /** What is wrong with a declared configuration whatever the build finds: values, and secrets that are not stored. @throws KilnError */
  async check(config: FunctionConfigInput): Promise<void> {
    await this.checked(config, 'http', 'kiln.json');
  }

  /** Whether nothing can run the version any more, for its image is gone. */
  isImageLost(version: VersionRecord): Promise<boolean> {
    return isImageLost(this.parts, version);
  }

  /** Builds a gzip tar of a folder on the function's home node and deploys it. The last line is `done`; failures are thrown. */
  async *fromSource(
    name: string,
    source: Readable,
    signal: AbortSignal,
    note: VersionNote = {},
    inputs: StepInputs = {},
  ): AsyncGenerator<BuildLine> {
    const proven = yield* this.build(begun(name, note), { ...inputs, name, source }, signal, note);
    const deployed = await proven.serve();
    if (deployed.warning !== undefined) yield { type: 'log', line: `warning: ${deployed.warning}` };
    yield { type: 'done', ...deployed };
  }

  /** The same up to where the traffic would move: several functions can so be deployed all or none. Failures are thrown. */
  prove(name: string, source: Readable, signal: AbortSignal, note: VersionNote = {}): AsyncGenerator<LogLine, Proven> {
    return this.build({ ...begun(name, note), waits: true }, { name, source }, signal, note);
  }

  private async *build(about: NewDeployment, sent: SentBuild, signal: AbortSignal, note: VersionNote): AsyncGenerator<LogLine, Proven> {
    const started = performance.now();
    const home = this.homeOf(sent.name);
    const deployment = await this.parts.deployments.begin(about);
    let proven: Proven | undefined;
    let failure: unknown = new KilnError('bad_request', 'the caller has left');
    try {
      const built = yield* this.buildOn(home, sent, AbortSignal.any([signal, deployment.signal]));
      const config = await this.checked(built.config, built.kind);
      const buildMs = Math.round(performance.now() - started);
      const digest = built.digest.replace(/^sha256:/, '').slice(0, SHOWN_DIGEST);
      yield { type: 'log', line: `built ${digest} in ${buildMs} ms; starting it on ${home.id}` };
      const { serve, abandon } = await this.release(deployment, { ...built, ...note, config, home }, signal);
      proven = { serve: async () => ({ ...(await serve()), buildMs }), abandon };
      return proven;
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      if (proven === undefined) await deployment.fail(failure);
    }
  }

  private async *buildOn(home: NodeRecord, sent: SentBuild, signal: AbortSignal): AsyncGenerator<LogLine, BuiltImage> {
    let built: BuiltImage | undefined;
    for await (const line of this.parts.agents.build(home, sent, signal)) {
      if (line.type === 'log') yield line;
      else if (line.type === 'failed') throw readFailure(line);
      else built = line;
    }
    if (built !== undefined) return built;
    throw new KilnError('unavailable', `node "${home.id}" broke off the build`, { fix: 'deploy again' });
  }

  /** Deploys an image that exists already. */
  async fromImage(
    name: string,
    image: string,
    config: FunctionConfigInput,
    signal: AbortSignal,
    note: VersionNote = {},
  ): Promise<Deployed> {
    // What is wrong whatever the image holds is said before anything is pulled.
    await this.checked(config, 'http');
    const home = this.homeOf(name);
    return this.deploy(begun(name, note), async (deployment) => {
      const { port, ...facts } = await this.parts.agents.facts(home, image, AbortSignal.any([signal, deployment.signal]));
      const exposed = facts.kind === 'http' && port !== undefined ? { port } : {};
      const release = { ...facts, ...note, home, config: await this.checked({ ...exposed, ...config }, facts.kind) };
      return (await this.release(deployment, release, signal)).serve();
    });
  }

  /** Deploys the serving image with some keys of its configuration changed. @throws KilnError `conflict` if the revision is another one */
  async reconfigure(
    name: string,
    changes: FunctionConfigInput,
    signal: AbortSignal,
    { expectedRevision, ...note }: VersionNote & { expectedRevision?: number | undefined } = {},
  ): Promise<Deployed> {
    const serving = await this.servingVersion(name, expectedRevision);
    const { image, digest, kind } = serving;
    const config = await this.checked({ ...serving.config, ...changes }, kind);
    const release = { image, digest, kind, ...note, config, home: this.homeOf(name), ofLater: unknownOf(serving) };
    return this.deploy(begun(name, note), async (deployment) => (await this.release(deployment, release, signal)).serve());
  }

  /** Replaces the versions that serve with an old secret. Gives those that serve now. @throws KilnError, and what served serves on */
  renew(name: string, signal: AbortSignal, { createdBy, message }: VersionNote): Promise<number[]> {
    const again = (version: VersionRecord) => {
      const release = { ...version, createdBy, message, home: this.homeOf(name), ofLater: unknownOf(version) };
      return this.deploy({ ...begun(name, release), replaces: version.version }, async (deployment) => {
        await this.make(deployment, release, signal);
        await readyNodes(this.parts, deployment);
        return deployment;
      });
    };
    return renew({ ...this.parts, again }, name);
  }

  private async deploy<T>(about: NewDeployment, work: (deployment: Deployment) => Promise<T>): Promise<T> {
    const deployment = await this.parts.deployments.begin(about);
    try {
      return await work(deployment);
    } catch (error) {
      await deployment.fail(error);
      throw error;
    }
  }

  /** Number it and prove it. Until it is given the traffic the old version serves; a failure leaves it so. */
  private async release(deployment: Deployment, release: Release, signal: AbortSignal): Promise<Proven> {
    const unchanged = await this.unchangedVersion(deployment.record.function, release);
    if (unchanged !== undefined) return provenBy(deployment, () => this.keep(deployment, unchanged, release));
    signal.throwIfAborted();
    const started = performance.now();
    await this.make(deployment, release, signal);
    const readyMs = Math.round(performance.now() - started);
    return provenBy(deployment, async () => ({ ...(await this.serve(deployment, release, signal)), readyMs }));
  }

  private async serve(deployment: Deployment, release: Release, signal: AbortSignal): Promise<Deployed> {
    const { function: name, version = 0 } = deployment.record;
    const deployed: Deployed = { function: name, version, digest: release.digest, url: this.parts.urlOf(name), changed: true };
    const record = await giveTraffic(this.parts, deployment);
    if (record === undefined) return deployed;
    const renewed = release.config.secrets.length === 0 ? {} : await this.renewed(name, signal, release);
    return { ...deployed, ...renewed, ...(record.previousTraffic.length > 0 && { rollback: `kiln rollback ${name}` }) };
  }

  /** Whoever set a secret meanwhile saw the versions that served before this one. The traffic has moved: a failure is not the deployment's. */
  private async renewed(name: string, signal: AbortSignal, release: Release): Promise<Pick<Deployed, 'warning'> & { version?: number }> {
    try {
      const [version] = await this.renew(name, signal, release);
      return version === undefined ? {} : { version };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      return { warning: `it may serve with a secret as it was before a change made meanwhile (${reason}): deploy again` };
    }
  }

  private async keep(deployment: Deployment, version: number, release: Release): Promise<Deployed> {
    const { function: name } = deployment.record;
    await this.parts.functions.noteOrigin(name, version, release);
    await deployment.reach('done', { version, digest: release.digest });
    return { function: name, version, digest: release.digest, url: this.parts.urlOf(name), changed: false };
  }

  /** The next version, proved ready; no request reaches it yet. */
  private async make(deployment: Deployment, release: Release, signal: AbortSignal): Promise<void> {
    const { functions, announcer, secrets } = this.parts;
    const { project, digest, config } = release;
    const { function: name } = deployment.record;
    const version = draft(release, await secrets.newest(config));
    await deployment.move('proving', (step) =>
      functions.createVersion(name, version, { project, step: (number) => step({ version: number, digest }) }),
    );
    await announcer.functionChanged(name);
    // Old versions may have gone with it.
    await secrets.dropUnused();
    await awaitProof(this.parts, deployment, config.startTimeout, signal);
  }

  /** The newest version, when it is the same and has all the traffic. */
  private async unchangedVersion(name: string, { digest, config }: Release): Promise<number | undefined> {
    const { functions, secrets } = this.parts;
    const record = await functions.get(name);
    const newest = (await functions.versions(name)).findLast(({ state }) => state === 'ready');
    if (record === undefined || newest === undefined) return undefined;
    const serves = record.traffic.some((share) => share.version === newest.version && share.weight === 100);
    const same = serves && newest.digest === digest && isDeepStrictEqual(newest.config, config);
    return same && (await secrets.outdated([newest])).length === 0 ? newest.version : undefined;
  }

  private async servingVersion(name: string, expectedRevision?: number): Promise<VersionRecord> {
    const { functions } = this.parts;
    const record = await functions.get(name);
    if (record === undefined) throw functionNotFound(name);
    requireRevision(record, expectedRevision);
    const versions = await functions.versions(name);
    const serving = record.traffic.toSorted((a, b) => b.weight - a.weight)[0]?.version;
    const found = versions.find(({ version }) => version === serving) ?? versions.findLast(({ state }) => state === 'ready');
    if (found === undefined) throw new KilnError('conflict', `"${name}" has no version that is ready`, { fix: `deploy it again` });
    return found;
  }

  private async checked(config: FunctionConfigInput, kind: BuiltImage['kind'], where?: string): Promise<FunctionConfig> {
    const complete = resolveConfig(config, kind, where);
    await this.parts.secrets.newest(complete, where);
    return complete;
  }

  private homeOf(name: string): NodeRecord {
    const home = this.parts.nodes.preference(name)[0];
    if (home === undefined) throw new KilnError('no_capacity', 'no node is in use', { fix: 'see `kiln nodes ls`' });
    return home.record;
  }
}

function provenBy(deployment: Deployment, serve: Proven['serve']): Proven {
  const abandon = (reason: unknown) => deployment.fail(reason);
  return { serve: () => serve().catch((error: unknown) => abandon(error).then(() => Promise.reject(error))), abandon };
}

function begun(name: string, { createdBy, message, traffic }: VersionNote): NewDeployment {
  return { function: name, createdBy, message, traffic };
}

function draft(release: Release, secretRevisions: SecretRevisions | undefined): VersionDraft {
  const { image, digest, kind, config, home, createdBy, message, sourceDigest, ofLater } = release;
  return { ...ofLater, image, digest, kind, config, provingNode: home.id, secretRevisions, createdBy, message, sourceDigest };
}

/** For another version of the same image. @throws KilnError `conflict` where it cannot be known what that would have to say */
function unknownOf(version: VersionRecord): object {
  if (!isOfLaterSchema(version)) return unknownKeys(versionRecord, version);
  throw new KilnError('conflict', `a later version of Kiln wrote version ${version.version} of "${version.function}"`, {
    fix: 'upgrade every router and agent, then try again',
  });
}
