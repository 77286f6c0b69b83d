import { randomBytes } from 'node:crypto';
import { DescribeRepositoriesCommand, ECRClient, ListImagesCommand, PutImageCommand } from '@aws-sdk/client-ecr';
import { type Service, startMoto } from '@kiln/testing/service';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Ecr, type TimedLogin } from './ecr.js';
import { RegistryLogins } from './logins.js';
import { ecrRegion, isImageId, pinnedReference, registryOf, splitPrefix } from './reference.js';
import { Registries } from './registries.js';

const ECR = '123456789012.dkr.ecr.eu-west-1.amazonaws.com';
const ID = `sha256:${'a'.repeat(64)}`;
const HOUR = 3_600_000;

describe('references', () => {
  it.each([
    ['hello', undefined],
    ['library/hello:1', undefined],
    ['localhost/a', 'localhost'],
    ['registry:5000/a/b@sha256:x', 'registry:5000'],
    [`${ECR}/a:1`, ECR],
  ])('%s comes from %s', (image, registry) => {
    expect(registryOf(image)).toBe(registry);
  });

  it('know an id, a region, a pin and a prefix', () => {
    expect([isImageId(ID), isImageId('a'.repeat(64)), isImageId('hello')]).toEqual([true, true, false]);
    expect([ecrRegion(ECR), ecrRegion(`${ECR}.evil.example`), ecrRegion('registry:5000')]).toEqual(['eu-west-1', undefined, undefined]);
    expect(pinnedReference(`registry:5000/a/b:1@${ID}`)).toEqual({ registry: 'registry:5000', repository: 'a/b', digest: ID });
    expect([pinnedReference('registry:5000/a:1'), pinnedReference(`a@${ID}`), pinnedReference(ID)]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(splitPrefix('ghcr.io/me/kiln/')).toEqual({ registry: 'ghcr.io', path: 'me/kiln' });
  });
});

describe('a token', () => {
  /** ECR that gives numbered tokens, or fails as often as it is told to. */
  function counting() {
    const state = { now: 0, asked: 0, failures: 0 };
    const ask = async (registry: string): Promise<TimedLogin> => {
      state.asked++;
      await new Promise((resolve) => setTimeout(resolve, 5));
      if (state.failures-- > 0) throw new Error('throttled');
      const login = { username: 'AWS', password: `token ${state.asked}`, serveraddress: registry };
      return { login, expiresAt: state.now + 12 * HOUR };
    };
    const logins = new RegistryLogins(undefined, ask, () => state.now);
    return { state, logins, password: async () => (await logins.of(ECR))?.password };
  }

  it('is asked for once, however many need it, also when it is due again', async () => {
    const { state, password } = counting();
    for (const round of [1, 2, 3]) {
      const all = await Promise.all(Array.from({ length: 20 }, password));
      expect([state.asked, new Set(all)]).toEqual([round, new Set([`token ${round}`])]);
      state.now += 7 * HOUR;
    }
  });

  it('is renewed at half of its life, and used on where that fails, until it ends', async () => {
    const { state, password } = counting();
    expect(await password()).toBe('token 1');
    state.now = 5 * HOUR;
    expect(await password()).toBe('token 1');
    state.now = 7 * HOUR;
    state.failures = 2;
    expect(await password()).toBe('token 1');
    expect([await password(), state.asked], 'not asked for at once again').toEqual(['token 1', 2]);
    state.now = 12 * HOUR + 1;
    await expect(password()).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('throttled') });
    expect(await password()).toBe('token 4');
  });

  it('that was refused is not used again', async () => {
    const { logins, password } = counting();
    await password();
    expect([logins.forget(ECR), logins.forget(ECR), logins.forget(undefined)]).toEqual([true, false, false]);
    expect(await password()).toBe('token 2');
  });
});

describe('ECR', () => {
  let moto: Service;
  let registries: Registries;
  let client: ECRClient;
  beforeAll(async () => {
    moto = await startMoto();
    const options = { endpoint: `http://${moto.host}`, credentials: { accessKeyId: 'test', secretAccessKey: 'test' } };
    registries = new Registries(undefined, new Ecr(options));
    client = new ECRClient({ ...options, region: 'eu-west-1' });
  }, 300_000);
  afterAll(async () => {
    client?.destroy();
    await moto?.stop();
  });

  const repositories = async () => {
    const { repositories: all = [] } = await client.send(new DescribeRepositoriesCommand({ registryId: '123456789012' }));
    return all.map(({ repositoryName }) => repositoryName).sort();
  };

  async function putImage(repositoryName: string): Promise<string> {
    const digest = () => `sha256:${randomBytes(32).toString('hex')}`;
    const imageManifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
      config: { mediaType: 'application/vnd.docker.container.image.v1+json', size: 1, digest: digest() },
      layers: [{ mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip', size: 1, digest: digest() }],
    });
    const { image } = await client.send(
      new PutImageCommand({ registryId: '123456789012', repositoryName, imageManifest, imageTag: randomBytes(4).toString('hex') }),
    );
    return image?.imageId?.imageDigest ?? '';
  }

  it('gives a login that ends', async () => {
    const { login, expiresAt } = await new Ecr({
      endpoint: `http://${moto.host}`,
      credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    }).login(ECR, 'eu-west-1');
    expect(login).toMatchObject({ username: 'AWS', serveraddress: `https://${ECR}` });
    expect(login.password.length).toBeGreaterThan(5);
    expect(Number.isFinite(expiresAt)).toBe(true);
  });

  it('gets a repository where a push needs one, once, and keeps one that is there', async () => {
    await Promise.all([
      registries.prepare(ECR, 'kiln/hello'),
      registries.prepare(ECR, 'kiln/hello'),
      registries.prepare(ECR, 'kiln/other'),
    ]);
    await registries.prepare(ECR, 'kiln/hello');
    expect(await repositories()).toEqual(['kiln/hello', 'kiln/other']);
    await registries.prepare('registry.example.com', 'kiln/nothing');
    expect(await repositories()).toEqual(['kiln/hello', 'kiln/other']);
  });

  it('loses the image that is removed, and no other', async () => {
    const reference = { registry: ECR, repository: 'kiln/images' };
    await registries.prepare(ECR, reference.repository);
    const [one, two] = [await putImage(reference.repository), await putImage(reference.repository)];
    expect(await registries.remove({ ...reference, digest: one })).toBe('removed');
    const { imageIds = [] } = await client.send(
      new ListImagesCommand({ registryId: '123456789012', repositoryName: reference.repository }),
    );
    expect(imageIds.map(({ imageDigest }) => imageDigest)).toEqual([two]);
  });

  it('does not mind an image or a repository that is gone already', async () => {
    const reference = { registry: ECR, repository: 'kiln/hello', digest: ID };
    expect(await registries.remove(reference)).toBe('removed');
    expect(await registries.remove({ ...reference, repository: 'kiln/nobody' })).toBe('removed');
  });

  it('that does not answer is given up within the bound', async () => {
    const away = new Registries(
      undefined,
      new Ecr({ endpoint: 'http://127.0.0.1:9', credentials: { accessKeyId: 'a', secretAccessKey: 'b' } }),
    );
    await expect(away.prepare(ECR, 'kiln/hello')).rejects.toMatchObject({ code: 'unavailable' });
    await expect(away.login(ECR)).rejects.toMatchObject({ code: 'unavailable' });
  });
});
