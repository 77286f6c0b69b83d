import type { Readable } from 'node:stream';
import { isDeepStrictEqual } from 'node:util';
import type { BuildLine, BuiltImage, Deployed } from '@kiln/contract/api/control-api';
import { readFailure } from '@kiln/contract/api/problem';
import { type FunctionConfig, type FunctionConfigInput, resolveConfig } from '@kiln/contract/config/function-config';
import { KilnError } from '@kiln/contract/errors';
import type { FunctionRecord, NodeRecord, VersionRecord } from '@kiln/contract/records/records';
import type { SecretRevisions } from '@kiln/contract/records/secrets';
import type { FunctionStore, VersionDraft } from '@kiln/state/functions/function-store';
import type { AgentsClient, StepInputs } from '../nodes/agents-client.js';
import type { NodeTable } from '../placement/node-table.js';
import type { VersionSecrets } from '../secrets/secrets.js';
import { switchTraffic } from '../traffic/switch-traffic.js';
import type { Announcer } from '../view/announcer.js';
import { PendingProof } from './await-proof.js';
import { renew } from './renew.js';
import { warmUp } from './warm-up.js';

/** Nodes have so long, beyond the version's own `startTimeout`, to notice the version, to fetch its image and to find room. */
const PROOF_MARGIN_MS = 60_000;

/** Enough of a digest to tell it from others. */
const SHOWN_DIGEST = 12;

export interface DeployParts {
  functions: FunctionStore;
  nodes: NodeTable;
  agents: AgentsClient;
  announcer: Announcer;
  secrets: VersionSecrets;
  urlOf(name: string): string;
}

/** Who made a version, why, and from what. */
export type VersionNote = Pick<VersionRecord, 'createdBy' | 'message' | 'sourceDigest'> &
  Pick<FunctionRecord, 'project'> & { traffic?: 'none' };

interface Release extends VersionNote {
  image: string;
  digest: string;
  kind: BuiltImage['kind'];
  config: FunctionConfig;
}

/** A version that runs and has no traffic yet. */
export interface Proven {
  /** Gives it the traffic. */
  serve(): Promise<Deployed>;
}

type LogLine = Extract<BuildLine, { type: 'log' }>;

/** The way of a deployment, middle part: from a source or an image to a version that has the traffic. */
export class Deployments {
  constructor(private readonly parts: DeployParts) {}

  /** What is wrong with a declared configuration whatever the build finds: values, and secrets that are not stored. @throws KilnError */
  async check(config: FunctionConfigInput): Promise<void> {
    await this.checked(config, 'http', 'kiln.json');
  }

  /** Builds a gzip tar of a folder on the function's home node and deploys it. The last line is `done`; failures are thrown. */
  async *fromSource(
    name: string,
    source: Readable,
    signal: AbortSignal,
    note: VersionNote = {},
    inputs: StepInputs = {},
  ): AsyncGenerator<BuildLine> {
    const proven = yield* this.prove(name, source, signal, note, inputs);
    const deployed = await proven.serve();
    if (deployed.warning !== undefined) yield { type: 'log', line: `warning: ${deployed.warning}` };
    yield { type: 'done', ...deployed };
  }

  /** The same up to where the traffic would move: several functions can so be deployed all or none. Failures are thrown. */
  async *prove(
    name: string,
    source: Readable,
    signal: AbortSignal,
    note: VersionNote = {},
    inputs: StepInputs = {},
  ): AsyncGenerator<LogLine, Proven> {
    const started = performance.now();
    const home = this.homeOf(name);
    let built: BuiltImage | undefined;
    for await (const line of this.parts.agents.build(home, { name, source, ...inputs }, signal)) {
      if (line.type === 'log') yield line;
      else if (line.type === 'failed') throw readFailure(line);
      else built = line;
    }
    if (built === undefined) throw new KilnError('unavailable', `node "${home.id}" broke off the build`, { fix: 'deploy again' });
    const config = await this.checked(built.config, built.kind);
    const buildMs = Math.round(performance.now() - started);
    yield {
      type: 'log',
      line: `built ${built.digest.replace(/^sha256:/, '').slice(0, SHOWN_DIGEST)} in ${buildMs} ms; starting it on ${home.id}`,
    };
    const proven = await this.release(name, { ...built, ...note, config }, home, signal);
    return { serve: async () => ({ ...(await proven.serve()), buildMs }) };
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
    const facts = await this.parts.agents.facts(home, image, signal);
    return (await this.release(name, { ...facts, ...note, config: await this.checked(config, facts.kind) }, home, signal)).serve();
  }

  /**
   * The image that serves now with some keys of its configuration changed.
   * @throws KilnError `conflict` where a revision is expected and the function has changed since
   */
  async reconfigure(
    name: string,
    changes: FunctionConfigInput,
    signal: AbortSignal,
    { expectedRevision, ...note }: VersionNote & { expectedRevision?: number | undefined } = {},
  ): Promise<Deployed> {
    const { image, digest, kind, config } = await this.servingVersion(name, expectedRevision);
    const changed = await this.checked({ ...config, ...changes }, kind);
    return (await this.release(name, { image, digest, kind, ...note, config: changed }, this.homeOf(name), signal)).serve();
  }

  /**
   * Puts new versions in the place of those that serve with a secret as it was before. Gives the versions that serve now.
   * @throws KilnError, and what served before serves on
   */
  renew(name: string, signal: AbortSignal, { createdBy, message }: VersionNote): Promise<number[]> {
    const { functions, announcer, secrets } = this.parts;
    const again = async (version: VersionRecord) => {
      const made = await this.make(name, { ...version, createdBy, message }, this.homeOf(name), signal);
      await warmUp(this.parts, { name, version: made, serving: [version.version] });
      return made;
    };
    return renew({ functions, announcer, secrets, again }, name);
  }

  /** Number it and prove it. Until it is given the traffic the old version serves; a failure leaves it so. */
  private async release(name: string, release: Release, home: NodeRecord, signal: AbortSignal): Promise<Proven> {
    const unchanged = await this.unchangedVersion(name, release);
    if (unchanged !== undefined) return { serve: () => this.keep(name, unchanged, release) };
    signal.throwIfAborted();
    const started = performance.now();
    const made = await this.make(name, release, home, signal);
    const readyMs = Math.round(performance.now() - started);
    return { serve: async () => ({ ...(await this.serve(name, made, release, signal)), readyMs }) };
  }

  private async serve(name: string, made: number, release: Release, signal: AbortSignal): Promise<Deployed> {
    const { functions, announcer, urlOf } = this.parts;
    const deployed: Deployed = { function: name, version: made, digest: release.digest, url: urlOf(name), changed: true };
    if (release.traffic === 'none') return deployed;
    await warmUp(this.parts, { name, version: made, serving: await this.servedBy(name) });
    const { previousTraffic } = await switchTraffic(functions, name, made);
    await announcer.functionChanged(name);
    const renewed = release.config.secrets.length === 0 ? {} : await this.renewed(name, signal, release);
    return { ...deployed, ...renewed, ...(previousTraffic.length > 0 && { rollback: `kiln rollback ${name}` }) };
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

  private async keep(name: string, version: number, release: Release): Promise<Deployed> {
    await this.parts.functions.noteOrigin(name, version, release);
    return { function: name, version, digest: release.digest, url: this.parts.urlOf(name), changed: false };
  }

  /** The next version, proved ready; no request reaches it yet. */
  private async make(name: string, release: Release, home: NodeRecord, signal: AbortSignal): Promise<number> {
    const { functions, announcer, secrets } = this.parts;
    const { version } = await functions.createVersion(name, draft(release, home, await secrets.newest(release.config)), {
      project: release.project,
    });
    await announcer.functionChanged(name);
    // Old versions may have gone with it.
    await secrets.dropUnused();
    await new PendingProof(this.parts, { name, version, boundMs: release.config.startTimeout + PROOF_MARGIN_MS, signal }).ready();
    return version;
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
    if (record === undefined) throw new KilnError('function_not_found', `there is no function "${name}"`, { fix: 'kiln ls' });
    if (expectedRevision !== undefined && expectedRevision !== record.revision) {
      throw new KilnError('conflict', `"${name}" is at revision ${record.revision}, not ${expectedRevision}`, { fix: 'read it again' });
    }
    const versions = await functions.versions(name);
    const serving = record.traffic.toSorted((a, b) => b.weight - a.weight)[0]?.version;
    const found = versions.find(({ version }) => version === serving) ?? versions.findLast(({ state }) => state === 'ready');
    if (found === undefined) throw new KilnError('conflict', `"${name}" has no version that is ready`, { fix: `deploy it again` });
    return found;
  }

  /** The versions that have traffic. */
  private async servedBy(name: string): Promise<number[]> {
    const { traffic = [] } = (await this.parts.functions.get(name)) ?? {};
    return traffic.filter(({ weight }) => weight > 0).map(({ version }) => version);
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

function draft(release: Release, { id }: NodeRecord, secretRevisions: SecretRevisions | undefined): VersionDraft {
  const { image, digest, kind, config, createdBy, message, sourceDigest } = release;
  const note = {
    ...(createdBy !== undefined && { createdBy }),
    ...(message !== undefined && { message }),
    ...(sourceDigest !== undefined && { sourceDigest }),
  };
  return { image, digest, kind, config, provingNode: id, ...(secretRevisions !== undefined && { secretRevisions }), ...note };
}
