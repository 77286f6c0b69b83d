import { KilnError } from '@kiln/contract/errors';
import { Ecr } from '@kiln/registry/ecr';
import type { RegistryLogin } from '@kiln/registry/login';
import { Registries } from '@kiln/registry/registries';
import { describe, expect, it } from 'vitest';
import type { ImageEngine, LocalImage } from './image-engine.js';
import { Images } from './images.js';

const ECR = '123456789012.dkr.ecr.eu-west-1.amazonaws.com';
const ID = `sha256:${'a'.repeat(64)}`;

function local(pinned?: string): LocalImage {
  return { id: ID, kind: 'http', pinned, maybePinned: false, entrypoint: [], command: [], workingDirectory: '', volumes: [], ours: false };
}

/** An engine that gets images by pulling, and counts. */
class Pulling implements ImageEngine {
  readonly pulls: (RegistryLogin | undefined)[] = [];
  readonly has = new Set<string>();
  /** What tags here mean in their registry, as far as it was seen. */
  readonly tagged = new Map<string, string>();
  readonly held: string[] = [];
  refusals = 0;

  async find(image: string): Promise<LocalImage | undefined> {
    return this.has.has(image) ? local(image.includes('@') ? image : this.tagged.get(image)) : undefined;
  }

  async pull(image: string, login: RegistryLogin | undefined): Promise<void> {
    this.pulls.push(login);
    await new Promise((resolve) => setTimeout(resolve, 5));
    if (this.refusals-- > 0) throw new KilnError('start_failed', 'refused');
    this.has.add(image);
  }

  async resolve(image: string): Promise<string> {
    return `${image.replace(/:[^:/]+$/, '')}@sha256:now`;
  }

  async hold(id: string): Promise<void> {
    this.held.push(id);
  }
}

class CountingEcr extends Ecr {
  asked = 0;

  override async login(registry: string) {
    this.asked++;
    const login = { username: 'AWS', password: `token ${this.asked}`, serveraddress: registry };
    return { login, expiresAt: Date.now() + 12 * 3_600_000 };
  }
}

function made() {
  const engine = new Pulling();
  const ecr = new CountingEcr();
  const clock = { now: 0 };
  const lines: string[] = [];
  const registries = new Registries(undefined, ecr);
  const images = new Images({ engine, registries, onLine: (line) => lines.push(line), now: () => clock.now });
  return { engine, ecr, clock, lines, images };
}

describe('the facts of an image', () => {
  it('are looked up again: somebody may have removed it since the last time, or built it again', async () => {
    const engine = new Pulling();
    const images = new Images({ engine, registries: new Registries(undefined) });
    engine.has.add(ID);
    await images.ensure(ID);
    engine.has.clear();
    await expect(images.facts(ID)).rejects.toMatchObject({ code: 'start_failed', fix: 'kiln deploy' });
    expect([...images.lost]).toEqual([ID]);
    engine.has.add(ID);
    await images.keep(ID);
    expect([...images.lost]).toEqual([]);
  });
});

describe('images', () => {
  it('are pulled once, however many ask, and the log says so', async () => {
    const { engine, images, lines } = made();
    await Promise.all(Array.from({ length: 20 }, () => images.ensure('registry:5000/a@sha256:x')));
    await images.ensure('registry:5000/a@sha256:x');
    expect(engine.pulls).toHaveLength(1);
    expect(lines).toEqual([
      'pull of registry:5000/a@sha256:x: begins',
      expect.stringMatching(/^pull of registry:5000\/a@sha256:x: done in \d+ ms$/),
    ]);
  });

  it('by id are never pulled', async () => {
    const { engine, images } = made();
    await expect(images.ensure(ID)).rejects.toMatchObject({ code: 'start_failed' });
    expect(engine.pulls).toEqual([]);
  });

  it('are given pinned, by digest where a registry knows one', async () => {
    const { engine, images } = made();
    expect(await images.facts('registry:5000/a@sha256:x')).toEqual({ image: 'registry:5000/a@sha256:x', digest: 'sha256:x', kind: 'http' });
    engine.has.add('local-tag:1');
    expect(await images.facts('local-tag:1')).toEqual({ image: ID, digest: ID, kind: 'http' });
    expect(engine.pulls).toHaveLength(1);
  });

  it('tell the port that they expose', async () => {
    const { engine, images } = made();
    engine.find = async () => ({ ...local(), port: 3000 });
    expect(await images.facts('local-tag:1')).toMatchObject({ image: ID, port: 3000 });
  });

  it('asked for by a registry’s tag are looked up there, though one is here', async () => {
    const { engine, images } = made();
    engine.has.add('registry:5000/a:1');
    expect((await images.facts('registry:5000/a:1')).image, 'never was in a registry').toBe(ID);
    engine.tagged.set('registry:5000/a:1', 'registry:5000/a@sha256:then');
    expect((await images.facts('registry:5000/a:1')).image).toBe('registry:5000/a@sha256:now');
    expect(engine.pulls).toHaveLength(1);
  });

  it('are held where they were pulled, not where somebody else put them', async () => {
    const { engine, images } = made();
    engine.has.add('foreign:1');
    await images.ensure('foreign:1');
    expect(engine.held).toEqual([]);
    await images.ensure('registry:5000/a@sha256:x');
    expect(engine.held).toEqual([ID]);
  });

  it('that leave are waited for, and then got anew', async () => {
    const { engine, images } = made();
    const reference = 'registry:5000/a@sha256:x';
    await images.ensure(reference);
    const { promise, resolve } = Promise.withResolvers<void>();
    const leaving = images.withdraw(ID, () => promise);
    const again = images.ensure(reference);
    await new Promise((tick) => setTimeout(tick, 20));
    expect(engine.pulls).toHaveLength(1);
    engine.has.delete(reference);
    resolve();
    await Promise.all([leaving, again]);
    expect(engine.pulls).toHaveLength(2);
  });

  it('from ECR are pulled with a token, which is asked for anew when refused', async () => {
    const { engine, ecr, images } = made();
    await images.ensure(`${ECR}/a@sha256:1`);
    await images.ensure(`${ECR}/a@sha256:2`);
    expect([ecr.asked, engine.pulls.at(-1)?.password]).toEqual([1, 'token 1']);
    engine.refusals = 1;
    await images.ensure(`${ECR}/a@sha256:3`);
    expect([ecr.asked, engine.pulls.at(-1)?.password]).toEqual([2, 'token 2']);
  });

  it('that can’t be had are not asked for at once again, each by itself, unless somebody deploys them', async () => {
    const { engine, images, clock } = made();
    engine.refusals = 2;
    for (let i = 0; i < 5; i++) await expect(images.ensure('registry:5000/a@sha256:x')).rejects.toMatchObject({ code: 'start_failed' });
    expect(engine.pulls).toHaveLength(1);
    clock.now = 1001;
    await expect(images.ensure('registry:5000/a@sha256:x')).rejects.toThrow('refused');
    await images.ensure('registry:5000/b@sha256:y');
    clock.now = 2500;
    await expect(images.ensure('registry:5000/a@sha256:x'), 'the pause has doubled').rejects.toThrow('refused');
    expect(engine.pulls).toHaveLength(3);
    await images.facts('registry:5000/a@sha256:x');
    expect(engine.pulls).toHaveLength(4);
  });
});
