import type { Readable } from 'node:stream';
import type { BuildArgs } from '@kiln/contract/api/build-args';
import { type BuildSecrets, buildSecretsHeaders } from '@kiln/contract/api/build-secrets';
import type {
  BuildLine,
  CreatedKey,
  Deployed,
  FunctionView,
  KeyView,
  NodeView,
  Origin,
  Page,
  StoreView,
  VersionImage,
  VersionsPage,
} from '@kiln/contract/api/control-api';
import { readFailure } from '@kiln/contract/api/problem';
import type { FunctionConfigInput } from '@kiln/contract/config/function-config';
import { KilnError } from '@kiln/contract/errors';
import type { DeploymentRecord } from '@kiln/contract/records/deployment';
import type { InstanceRecord, LogRecord, Scope, VersionRecord } from '@kiln/contract/records/records';
import type { StartRolloutInput } from '@kiln/contract/records/rollout';
import type { SecretRecord, SecretsRotated, SecretsSet } from '@kiln/contract/records/secrets';
import type { Traffic } from '@kiln/contract/records/traffic';
import { jsonLines } from '@kiln/contract/wire/json-lines';
import { type ClientOptions, Transport } from './transport.js';

export interface LogOptions {
  /** Continues with new lines until the caller stops reading. */
  follow?: boolean;
  /** ISO 8601 */
  since?: string;
  requestId?: string;
  /** This level or above. */
  level?: LogRecord['level'];
  signal?: AbortSignal;
}

export interface DeployOptions extends Origin {
  /** One line for the history of versions. */
  message?: string;
  /** The new version is checked and gets no traffic. */
  traffic?: 'none';
  buildArgs?: BuildArgs;
  buildSecrets?: BuildSecrets;
  signal?: AbortSignal;
}

/** Covers an upload and the whole `startTimeout` of a version: the response starts after both. */
const DEPLOY_TIMEOUT_MS = 1_200_000;

/** A typed client of the control API. Every error is a KilnError: the server's own, or `unavailable` when no server answers. */
export class KilnClient {
  private readonly transport: Transport;

  constructor(options: ClientOptions) {
    this.transport = new Transport(options);
  }

  readonly functions = {
    list: (): Promise<FunctionView[]> => this.all('/v1/functions'),
    get: (name: string): Promise<FunctionView> => this.transport.json('GET', path('functions', name)),
    /** Makes a version with the same image and some configuration changed. With a revision, a `conflict` if the function changed since. */
    patch: (
      name: string,
      config: FunctionConfigInput,
      { revision, ...how }: Pick<DeployOptions, 'message' | 'traffic'> & { revision?: number } = {},
    ): Promise<Deployed> =>
      this.transport.json('PATCH', path('functions', name), { json: { config, ...how }, timeoutMs: DEPLOY_TIMEOUT_MS, revision }),
    remove: (name: string): Promise<void> => this.transport.json('DELETE', path('functions', name)),
  };

  readonly versions = {
    list: (name: string): Promise<VersionRecord[]> => this.all(path('functions', name, 'versions')),
    /** Deployments that are under way or failed, newest first. Empty if the router is older, or its store is away. */
    deployments: async (name: string): Promise<DeploymentRecord[]> => {
      const page: VersionsPage = await this.transport.json('GET', path('functions', name, 'versions'), { query: { limit: '1' } });
      return page.deployments ?? [];
    },
    /** Whether its image is gone from the nodes. Undefined where that can't be found out, as with an older router. */
    isImageLost: async (name: string, version: number): Promise<boolean | undefined> => {
      const asked = this.transport.json<VersionImage>('GET', path('functions', name, 'versions', String(version), 'image'));
      return await asked.then(({ lost }) => lost).catch(() => undefined);
    },
    /** Deploys an existing image. */
    create: (
      name: string,
      version: Omit<DeployOptions, 'signal'> & { image: string; config?: FunctionConfigInput },
      options: { signal?: AbortSignal } = {},
    ): Promise<Deployed> =>
      this.transport.json('POST', path('functions', name, 'versions'), { json: version, timeoutMs: DEPLOY_TIMEOUT_MS, ...options }),
  };

  readonly pins = {
    /** Keeps the version, however old it is. */
    add: (name: string, version: number): Promise<VersionRecord> => this.transport.json('PUT', pinPath(name, version)),
    remove: (name: string, version: number): Promise<VersionRecord> => this.transport.json('DELETE', pinPath(name, version)),
  };

  readonly traffic = {
    get: (name: string): Promise<Traffic> => this.transport.json('GET', path('functions', name, 'traffic')),
    put: (name: string, traffic: Traffic, { sticky }: { sticky?: boolean } = {}): Promise<Traffic> =>
      this.transport.json('PUT', path('functions', name, 'traffic'), { json: traffic, query: { sticky: sticky?.toString() } }),
  };

  readonly secrets = {
    list: (): Promise<SecretRecord[]> => this.all('/v1/secrets'),
    /** Stores all or none. Resolves when every function that uses one serves with it or has failed. */
    set: (values: Record<string, string>): Promise<SecretsSet> =>
      this.transport.json('PATCH', '/v1/secrets', { json: { values }, timeoutMs: DEPLOY_TIMEOUT_MS }),
    remove: (name: string): Promise<void> => this.transport.json('DELETE', path('secrets', name)),
    rotate: (): Promise<SecretsRotated> => this.transport.json('POST', '/v1/secrets/rotate', { timeoutMs: DEPLOY_TIMEOUT_MS }),
  };

  readonly nodes = {
    list: (): Promise<NodeView[]> => this.all('/v1/nodes'),
    drain: (id: string): Promise<void> => this.transport.json('POST', path('nodes', id, 'drain')),
    undrain: (id: string): Promise<void> => this.transport.json('DELETE', path('nodes', id, 'drain')),
  };

  readonly store = {
    get: (): Promise<StoreView> => this.transport.json('GET', '/v1/store'),
    /** Writes what the router holds back to a store that has lost data. */
    restore: (): Promise<StoreView> => this.transport.json('POST', '/v1/store/restore'),
    /** Accepts what such a store has now. */
    accept: (): Promise<StoreView> => this.transport.json('POST', '/v1/store/accept'),
  };

  readonly keys = {
    list: (): Promise<KeyView[]> => this.all('/v1/keys'),
    create: (key: { name: string; scopes: Scope[] }): Promise<CreatedKey> => this.transport.json('POST', '/v1/keys', { json: key }),
    remove: (id: string): Promise<void> => this.transport.json('DELETE', path('keys', id)),
  };

  /** Sends a gzip tar of a folder, reports the build line by line, and resolves when the new version serves. */
  async deploy(name: string, tar: Readable, onLine: (line: string) => void, options: DeployOptions = {}): Promise<Deployed> {
    const { message, traffic, sourceDigest, project, buildArgs, buildSecrets = {}, signal } = options;
    const response = await this.transport.send('POST', path('functions', name, 'builds'), {
      stream: tar,
      timeoutMs: DEPLOY_TIMEOUT_MS,
      query: { message, traffic, sourceDigest, project, buildArgs: buildArgs && JSON.stringify(buildArgs) },
      headers: buildSecretsHeaders(buildSecrets),
      signal,
    });
    for await (const line of this.lines<BuildLine>(response, signal)) {
      if (line.type === 'log') onLine(line.line);
      else if (line.type === 'failed') throw readFailure(line);
      else return withoutType(line);
    }
    throw this.transport.unreachable(new Error('the response ended before the deployment'));
  }

  /** Restores the traffic before the last change, or gives all to one version. */
  rollback(name: string, version?: number): Promise<FunctionView> {
    return this.transport.json('POST', path('functions', name, 'rollback'), { json: { version } });
  }

  /** Gives a version the traffic in stages. Resolves when the first stage starts. */
  rollout(name: string, rollout: StartRolloutInput): Promise<FunctionView> {
    return this.transport.json('POST', path('functions', name, 'rollout'), { json: rollout });
  }

  async *logs(name: string, options: LogOptions = {}): AsyncGenerator<LogRecord> {
    const { follow, since, requestId, level, signal } = options;
    const query = { since, requestId, level, follow: follow ? 'true' : undefined };
    const response = await this.transport.send('GET', path('functions', name, 'logs'), { query, signal });
    yield* this.lines<LogRecord>(response, signal);
  }

  instances(name: string): Promise<InstanceRecord[]> {
    return this.all(path('functions', name, 'instances'));
  }

  private async all<T>(address: string): Promise<T[]> {
    const items: T[] = [];
    let after: string | undefined;
    do {
      const page: Page<T> = await this.transport.json('GET', address, { query: { after } });
      items.push(...page.items);
      after = page.next ?? undefined;
    } while (after !== undefined);
    return items;
  }

  private async *lines<T>(response: Response, signal: AbortSignal | undefined): AsyncGenerator<T> {
    if (response.body === null) return;
    try {
      yield* jsonLines<T>(response.body);
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw error instanceof KilnError ? error : this.transport.unreachable(error);
    }
  }
}

/** A path of the API. Each part is encoded as one segment. @throws KilnError for a part that cannot be one */
function path(...parts: string[]): string {
  const bad = parts.find((part) => /^\.{0,2}$/.test(part));
  if (bad !== undefined) throw new KilnError('bad_request', `"${bad}" can't be a name`);
  return `/v1/${parts.map(encodeURIComponent).join('/')}`;
}

function pinPath(name: string, version: number): string {
  return path('functions', name, 'versions', String(version), 'pin');
}

function withoutType({ type: _, ...deployed }: BuildLine & { type: 'done' }): Deployed {
  return deployed;
}
