import { KilnError } from '@kiln/contract/errors';
import type { StoredLogins } from './auth-file.js';
import { Ecr } from './ecr.js';
import type { RegistryLogin } from './login.js';
import { type AuthFile, RegistryLogins } from './logins.js';
import { ecrRegion, type PinnedReference } from './reference.js';
import { type Removal, removeManifest } from './remove-manifest.js';

/** The one place that knows how to get into registries: pushes, pulls and removals all come here. */
export class Registries {
  readonly logins: RegistryLogins;

  constructor(
    logins?: AuthFile | StoredLogins,
    private readonly ecr: Ecr = new Ecr(),
    now: () => number = Date.now,
  ) {
    this.logins = new RegistryLogins(logins, (registry, region) => ecr.login(registry, region), now);
  }

  /** Undefined where the registry needs none. @throws KilnError `unavailable` */
  login(registry: string | undefined): Promise<RegistryLogin | undefined> {
    return this.logins.of(registry);
  }

  /** Makes a request with the registry's login, and retries once with a new login: some tokens expire early. */
  async withLogin<T>(registry: string | undefined, request: (login?: RegistryLogin) => Promise<T>, signal?: AbortSignal): Promise<T> {
    try {
      return await request(await this.login(registry));
    } catch (error) {
      if (signal?.aborted || !this.logins.forget(registry)) throw error;
      return await request(await this.login(registry));
    }
  }

  /** The registry that these AWS credentials have in a region: its host. @throws KilnError `unavailable` */
  async ofEcr(region: string): Promise<string> {
    try {
      return await this.ecr.registryOf(region);
    } catch (error) {
      throw new KilnError('unavailable', `the registry in ${region} can't be found: ${(error as Error).message}`, {
        cause: error,
        fix: 'give AWS credentials whose role has ecr:GetAuthorizationToken, and the right region',
      });
    }
  }

  /** Sees to it that a push finds its repository. Only ECR's registries need that. @throws KilnError `unavailable` */
  async prepare(registry: string, repository: string): Promise<void> {
    const region = ecrRegion(registry);
    if (region === undefined) return;
    try {
      await this.ecr.ensureRepository(registry, region, repository);
    } catch (error) {
      throw new KilnError('unavailable', `repository ${repository} of ${registry} can't be made: ${(error as Error).message}`, {
        cause: error,
        fix: 'the role needs ecr:DescribeRepositories and ecr:CreateRepository',
      });
    }
  }

  /** Removes one image from its registry, by digest. @throws Error where the registry does not answer */
  async remove(reference: PinnedReference): Promise<Removal> {
    const { registry, repository, digest } = reference;
    const region = ecrRegion(registry);
    if (region === undefined) return removeManifest(reference, await this.login(registry));
    try {
      await this.ecr.removeImage(registry, region, repository, digest);
      return 'removed';
    } catch (error) {
      if ((error as Error).name === 'AccessDeniedException') return 'refused';
      throw error;
    }
  }
}
