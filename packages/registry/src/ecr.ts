import type { AuthorizationData, ECRClient, ECRClientConfig } from '@aws-sdk/client-ecr';
import type { RegistryLogin } from './login.js';

/** The time for one call with its retries. */
const CALL_MS = 15_000;
const ATTEMPTS = 3;
const MAX_KNOWN = 10_000;

export interface TimedLogin {
  login: RegistryLogin;
  expiresAt: number;
}

/** Amazon's registries. The SDK finds the credentials: a role of the machine or the task, or the environment. */
export class Ecr {
  /** Repositories that are known to exist. */
  private readonly existing = new Set<string>();

  /** @param options another endpoint or other credentials for the SDK */
  constructor(private readonly options: Pick<ECRClientConfig, 'endpoint' | 'credentials'> = {}) {}

  async login(registry: string, region: string): Promise<TimedLogin> {
    const { authorizationToken, expiresAt } = await this.authorization(region);
    if (authorizationToken === undefined || expiresAt === undefined) throw new Error('the response has no token');
    const [username = '', password = ''] = Buffer.from(authorizationToken, 'base64').toString().split(':');
    return { login: { username, password, serveraddress: `https://${registry}` }, expiresAt: expiresAt.getTime() };
  }

  /** The host of the account's registry in a region; each account has one. */
  async registryOf(region: string): Promise<string> {
    const { proxyEndpoint } = await this.authorization(region);
    if (proxyEndpoint === undefined) throw new Error('the response names no registry');
    return new URL(proxyEndpoint).host;
  }

  private authorization(region: string): Promise<AuthorizationData> {
    return this.call(region, async (client, sdk, abortSignal) => {
      const answer = await client.send(new sdk.GetAuthorizationTokenCommand({}), { abortSignal });
      return answer.authorizationData?.[0] ?? {};
    });
  }

  /** Creates the repository if necessary: a push to ECR does not. */
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
          // Another node has created it.
          if (!(reason instanceof sdk.RepositoryAlreadyExistsException)) throw reason;
        });
      }
    });
    if (this.existing.size >= MAX_KNOWN) this.existing.clear();
    this.existing.add(key);
  }

  /** Removes an image. A missing one is no error. */
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
    // Loaded only for an ECR registry: the SDK is large.
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
