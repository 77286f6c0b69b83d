import type { ECRClient, ECRClientConfig } from '@aws-sdk/client-ecr';
import type { RegistryLogin } from './login.js';

/** All of a call, its retries included. */
const CALL_MS = 15_000;
const ATTEMPTS = 3;
const MAX_KNOWN = 10_000;

export interface TimedLogin {
  login: RegistryLogin;
  expiresAt: number;
}

/** Amazon's registries, through the credentials that the SDK finds by itself: a role of the machine or the task, or the environment. */
export class Ecr {
  /** Repositories that were seen to exist. */
  private readonly existing = new Set<string>();

  /** Options for the client: another endpoint or other credentials, where the SDK's own ways don't do. */
  constructor(private readonly options: Pick<ECRClientConfig, 'endpoint' | 'credentials'> = {}) {}

  async login(registry: string, region: string): Promise<TimedLogin> {
    return this.call(region, async (client, sdk, abortSignal) => {
      const answer = await client.send(new sdk.GetAuthorizationTokenCommand({}), { abortSignal });
      const data = answer.authorizationData?.[0];
      if (data?.authorizationToken === undefined || data.expiresAt === undefined) throw new Error('the answer holds no token');
      const [username = '', password = ''] = Buffer.from(data.authorizationToken, 'base64').toString().split(':');
      return { login: { username, password, serveraddress: `https://${registry}` }, expiresAt: data.expiresAt.getTime() };
    });
  }

  /** Each account has one registry in a region: the host that a login is good for. */
  async registryOf(region: string): Promise<string> {
    return this.call(region, async (client, sdk, abortSignal) => {
      const answer = await client.send(new sdk.GetAuthorizationTokenCommand({}), { abortSignal });
      const endpoint = answer.authorizationData?.[0]?.proxyEndpoint;
      if (endpoint === undefined) throw new Error('the answer names no registry');
      return new URL(endpoint).host;
    });
  }

  /** ECR makes no repository by a push. */
  async ensureRepository(registry: string, region: string, repositoryName: string): Promise<void> {
    const key = `${registry}/${repositoryName}`;
    if (this.existing.has(key)) return;
    const registryId = accountOf(registry);
    await this.call(region, async (client, sdk, abortSignal) => {
      try {
        await client.send(new sdk.DescribeRepositoriesCommand({ registryId, repositoryNames: [repositoryName] }), { abortSignal });
      } catch (error) {
        if (!(error instanceof sdk.RepositoryNotFoundException)) throw error;
        await client.send(new sdk.CreateRepositoryCommand({ registryId, repositoryName }), { abortSignal }).catch((reason: unknown) => {
          // Another node was first.
          if (!(reason instanceof sdk.RepositoryAlreadyExistsException)) throw reason;
        });
      }
    });
    if (this.existing.size >= MAX_KNOWN) this.existing.clear();
    this.existing.add(key);
  }

  /** One that is not there any more is no fault. */
  async removeImage(registry: string, region: string, repositoryName: string, imageDigest: string): Promise<void> {
    await this.call(region, async (client, sdk, abortSignal) => {
      const input = { registryId: accountOf(registry), repositoryName, imageIds: [{ imageDigest }] };
      try {
        const { failures = [] } = await client.send(new sdk.BatchDeleteImageCommand(input), { abortSignal });
        const failure = failures.find(({ failureCode }) => failureCode !== 'ImageNotFound');
        if (failure !== undefined) throw new Error(failure.failureReason ?? failure.failureCode);
      } catch (error) {
        if (!(error instanceof sdk.RepositoryNotFoundException)) throw error;
      }
    });
  }

  private async call<T>(region: string, action: (client: ECRClient, sdk: Sdk, abortSignal: AbortSignal) => Promise<T>): Promise<T> {
    // Loaded only where an ECR registry is used: it is large.
    const sdk = await import('@aws-sdk/client-ecr');
    const client = new sdk.ECRClient({ region, maxAttempts: ATTEMPTS, ...this.options });
    try {
      return await action(client, sdk, AbortSignal.timeout(CALL_MS));
    } finally {
      client.destroy();
    }
  }
}

type Sdk = typeof import('@aws-sdk/client-ecr');

function accountOf(registry: string): string {
  return registry.slice(0, registry.indexOf('.'));
}
