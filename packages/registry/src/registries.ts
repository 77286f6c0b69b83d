import { KilnError } from '@kiln/contract/errors';
import type { AuthFile, StoredLogins } from './auth-file.js';
import { Ecr } from './ecr.js';
import type { RegistryLogin } from './login.js';
import { RegistryLogins } from './logins.js';
import { ecrRegion, type PinnedReference } from './reference.js';
import { type Removal, removeManifest } from './remove-manifest.js';

/** Access to registries, for pushes, pulls and removals. */
export class Registries {
  readonly logins: RegistryLogins;

  constructor(
    logins?: AuthFile | StoredLogins,
    private readonly ecr: Ecr = new Ecr(),
    now: () => number = Date.now,
  ) {
    this.logins = new RegistryLogins(logins, (registry, region) => ecr.login(registry, region), now);
  }

  /** Undefined when the registry needs no login. @throws KilnError `unavailable` */
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

  /** The host of the AWS account's registry in a region. @throws KilnError `unavailable` */
  async ofEcr(region: string): Promise<string> {
    const fix = 'give AWS credentials whose role has ecr:GetAuthorizationToken, and the right region';
    return await this.ecr.registryOf(region).catch(unavailable(`the registry in ${region} can't be found`, fix));
  }

  /** Makes sure that the repository exists. Only ECR needs that. @throws KilnError `unavailable` */
  async prepare(registry: string, repository: string): Promise<void> {
    const region = ecrRegion(registry);
    if (region === undefined) return;
    const fix = 'the role needs ecr:DescribeRepositories and ecr:CreateRepository';
    const prepared = this.ecr.ensureRepository(registry, region, repository);
    await prepared.catch(unavailable(`repository ${repository} of ${registry} can't be made`, fix));
  }

  /** Removes one image from its registry, by digest. @throws Error when the registry does not answer */
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

function unavailable(what: string, fix: string): (cause: Error) => never {
  return (cause) => {
    throw new KilnError('unavailable', `${what}: ${cause.message}`, { cause, fix });
  };
}
