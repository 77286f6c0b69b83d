import { KilnError } from '@kiln/contract/errors';
import { describe, expect, it } from 'vitest';
import type { ImageEngine, LocalImage, RegistryLogin } from './image-engine.js';
import { ecrRegion, isImageId, registryOf } from './image-reference.js';
import { Images } from './images.js';
import { RegistryLogins } from './registry-logins.js';

const ECR = '123456789012.dkr.ecr.eu-west-1.amazonaws.com';
const ID = `sha256:${'a'.repeat(64)}`;

function local(pinned?: string): LocalImage {
  return { id: ID, kind: 'http', pinned, entrypoint: [], command: [], workingDirectory: '', volumes: [] };
}

/** An engine that gets images by pulling, and counts. */
class Pulling implements ImageEngine {
  readonly pulls: (RegistryLogin | undefined)[] = [];
  readonly has = new Set<string>();
  refusals = 0;

  async find(image: string): Promise<LocalImage | undefined> {
    return this.has.has(image) ? local(image.includes('@') ? image : undefined) : undefined;
  }

  async pull(image: string, login: RegistryLogin | undefined): Promise<void> {
    this.pulls.push(login);
    await new Promise((resolve) => setTimeout(resolve, 5));
    if (this.refusals-- > 0) throw new KilnError('start_failed', 'refused');
    this.has.add(image);
  }
}

function logins(now: () => number = Date.now) {
  const asked: string[] = [];
  const source = async (registry: string, region: string) => {
    asked.push(`${registry} ${region}`);
    const login = { username: 'AWS', password: `token ${asked.length}`, serveraddress: registry };
    return { login, expiresAt: now() + 12 * 3_600_000 };
  };
  return { asked, logins: new RegistryLogins(source, now) };
}

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

  it('know an id and a region', () => {
    expect([isImageId(ID), isImageId('a'.repeat(64)), isImageId('hello')]).toEqual([true, true, false]);
    expect([ecrRegion(ECR), ecrRegion(`${ECR}.evil.example`), ecrRegion('registry:5000')]).toEqual(['eu-west-1', undefined, undefined]);
  });
});

describe('images', () => {
  it('are pulled once, however many ask', async () => {
    const engine = new Pulling();
    const images = new Images(engine, logins().logins);
    await Promise.all(Array.from({ length: 20 }, () => images.ensure('registry:5000/a@sha256:x')));
    await images.ensure('registry:5000/a@sha256:x');
    expect(engine.pulls).toHaveLength(1);
  });

  it('by id are never pulled', async () => {
    const engine = new Pulling();
    await expect(new Images(engine, logins().logins).ensure(ID)).rejects.toMatchObject({ code: 'start_failed' });
    expect(engine.pulls).toEqual([]);
  });

  it('are given pinned, by digest where a registry knows one', async () => {
    const engine = new Pulling();
    const images = new Images(engine, logins().logins);
    expect(await images.facts('registry:5000/a@sha256:x')).toEqual({ image: 'registry:5000/a@sha256:x', digest: 'sha256:x', kind: 'http' });
    expect(await images.facts('local-tag:1')).toEqual({ image: ID, digest: ID, kind: 'http' });
  });

  it('from ECR are pulled with a token, which is used until half of its life and asked for anew when refused', async () => {
    let now = 0;
    const { asked, logins: made } = logins(() => now);
    const engine = new Pulling();
    const images = new Images(engine, made);
    await images.ensure(`${ECR}/a@sha256:1`);
    now = 5 * 3_600_000;
    await images.ensure(`${ECR}/a@sha256:2`);
    expect([asked.length, engine.pulls.at(-1)?.password]).toEqual([1, 'token 1']);
    now = 7 * 3_600_000;
    await images.ensure(`${ECR}/a@sha256:3`);
    expect(asked).toHaveLength(2);
    engine.refusals = 1;
    await images.ensure(`${ECR}/a@sha256:4`);
    expect([asked.length, engine.pulls.at(-1)?.password]).toEqual([3, 'token 3']);
  });

  it('that can’t be had are asked for again the next time', async () => {
    const engine = new Pulling();
    engine.refusals = 1;
    const images = new Images(engine, logins().logins);
    await expect(images.ensure('registry:5000/a:1')).rejects.toMatchObject({ code: 'start_failed' });
    await images.ensure('registry:5000/a:1');
  });
});
