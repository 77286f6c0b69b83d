import { KilnError } from '@kiln/contract/errors';
import { type AuthFile, readAuthFile, type StoredLogins } from './auth-file.js';
import type { Ecr, TimedLogin } from './ecr.js';
import { DEFAULT_REGISTRY, type RegistryLogin } from './login.js';
import { ecrRegion } from './reference.js';

/** The wait after a failed renewal, while the old token is still valid. */
const RENEW_AGAIN_MS = 60_000;
const MAX_KNOWN = 100;

type Token = TimedLogin & { renewAt: number };

/**
 * Logins by registry: from the file or the given ones, else a token for a registry of ECR, else none. A token is valid for 12 hours and
 * is renewed at half of that. After a failed renewal, the old token serves until it expires.
 */
export class RegistryLogins {
  private readonly tokens = new Map<string, Token>();
  private readonly renewing = new Map<string, Promise<Token>>();

  constructor(
    private readonly source: AuthFile | StoredLogins | undefined,
    private readonly askEcr: Ecr['login'],
    private readonly now: () => number = Date.now,
  ) {}

  /** @throws KilnError `unavailable` when the file is unusable or ECR issues no token */
  async of(registry: string = DEFAULT_REGISTRY): Promise<RegistryLogin | undefined> {
    const stored = (await this.stored()).get(registry);
    if (stored !== undefined) return stored;
    const region = ecrRegion(registry);
    return region === undefined ? undefined : (await this.token(registry, region)).login;
  }

  /** Reads the file each time: pulls are rare, and a changed password counts at once. @throws KilnError */
  async stored(): Promise<StoredLogins> {
    const { source = new Map() } = this;
    return 'path' in source ? await readAuthFile(source) : source;
  }

  /** Call it when a registry refused the login. True when the next login will be a new token. */
  forget(registry: string | undefined): boolean {
    return registry !== undefined && this.tokens.delete(registry);
  }

  private async token(registry: string, region: string): Promise<Token> {
    const known = this.tokens.get(registry);
    if (known !== undefined && this.now() < known.renewAt) return known;
    try {
      return await this.renewed(registry, region);
    } catch (error) {
      if (known !== undefined && this.now() < known.expiresAt) {
        known.renewAt = this.now() + RENEW_AGAIN_MS;
        return known;
      }
      throw new KilnError('unavailable', `no login for ${registry}: ${(error as Error).message}`, {
        cause: error,
        fix: 'the role needs ecr:GetAuthorizationToken',
      });
    }
  }

  private renewed(registry: string, region: string): Promise<Token> {
    const renewal = this.renewing.get(registry) ?? this.renew(registry, region).finally(() => this.renewing.delete(registry));
    this.renewing.set(registry, renewal);
    return renewal;
  }

  private async renew(registry: string, region: string): Promise<Token> {
    const timed = await this.askEcr(registry, region);
    const token = { ...timed, renewAt: this.now() + (timed.expiresAt - this.now()) / 2 };
    this.tokens.set(registry, token);
    for (const oldest of this.tokens.keys()) {
      if (this.tokens.size <= MAX_KNOWN) break;
      this.tokens.delete(oldest);
    }
    return token;
  }
}
