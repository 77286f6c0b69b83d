import { KilnError } from '@kiln/contract/errors';
import type { RegistryLogin } from './image-engine.js';
import { ecrRegion } from './image-reference.js';

/** A login, and how long it is good for. */
interface TimedLogin {
  login: RegistryLogin;
  expiresAt: number;
}

/** Asks for a login: the registry's host, its region. */
export type LoginSource = (registry: string, region: string) => Promise<TimedLogin>;

const ASK_MS = 10_000;

/** Logins of ECR registries: tokens live for 12 hours and are renewed at half of that. Other registries need none. */
export class RegistryLogins {
  private readonly known = new Map<string, Promise<{ login: RegistryLogin; renewAt: number }>>();

  constructor(
    private readonly source: LoginSource = askEcr,
    private readonly now: () => number = Date.now,
  ) {}

  async of(registry: string | undefined): Promise<RegistryLogin | undefined> {
    const region = registry === undefined ? undefined : ecrRegion(registry);
    if (registry === undefined || region === undefined) return undefined;
    const known = await this.known.get(registry);
    if (known !== undefined && this.now() < known.renewAt) return known.login;
    return (await this.renew(registry, region)).login;
  }

  /** A registry refused the login: the next one is asked for anew. */
  forget(registry: string | undefined): void {
    if (registry !== undefined) this.known.delete(registry);
  }

  private renew(registry: string, region: string): Promise<{ login: RegistryLogin; renewAt: number }> {
    const renewal = this.source(registry, region).then(
      ({ login, expiresAt }) => ({ login, renewAt: this.now() + (expiresAt - this.now()) / 2 }),
      (error: Error) => {
        this.known.delete(registry);
        throw new KilnError('start_failed', `no login for ${registry}: ${error.message}`, {
          cause: error,
          fix: 'the node’s role needs ecr:GetAuthorizationToken',
        });
      },
    );
    this.known.set(registry, renewal);
    return renewal;
  }
}

async function askEcr(registry: string, region: string): Promise<TimedLogin> {
  // Loaded only where an ECR registry is used: it is large.
  const { ECRClient, GetAuthorizationTokenCommand } = await import('@aws-sdk/client-ecr');
  const client = new ECRClient({ region });
  try {
    const answer = await client.send(new GetAuthorizationTokenCommand({}), { abortSignal: AbortSignal.timeout(ASK_MS) });
    const data = answer.authorizationData?.[0];
    if (data?.authorizationToken === undefined) throw new Error('the answer holds no token');
    const [username = '', password = ''] = Buffer.from(data.authorizationToken, 'base64').toString().split(':');
    return {
      login: { username, password, serveraddress: `https://${registry}` },
      expiresAt: data.expiresAt?.getTime() ?? Date.now() + 3_600_000,
    };
  } finally {
    client.destroy();
  }
}
