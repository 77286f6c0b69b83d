import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pinnedReference } from '@kiln/registry/reference';
import { Registries } from '@kiln/registry/registries';
import { engine, removeImages } from '@kiln/testing/engine';
import { importImage } from '@kiln/testing/images/layered-image';
import { LOGIN, type Service, startRegistry } from '@kiln/testing/service';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { push } from './registry.js';

const name = `t-push-${randomBytes(4).toString('hex')}`;

describe.each([{ password: false }, { password: true }])('a registry, password: $password', ({ password }) => {
  let server: Service;
  let folder: string;
  let registries: Registries;
  let image: string;
  const lines: string[] = [];
  const used = new Set([`kiln/${name}:1`]);

  beforeAll(async () => {
    server = await startRegistry({ password });
    folder = mkdtempSync(join(tmpdir(), 'kiln-push-'));
    const path = join(folder, 'registries.json');
    const auth = Buffer.from(`${LOGIN.username}:${LOGIN.password}`).toString('base64');
    writeFileSync(path, JSON.stringify({ auths: { [server.host]: { auth } } }), { mode: 0o600 });
    registries = new Registries(password ? { path, optional: false } : undefined);
    image = await importImage(`kiln/${name}`, '1');
  }, 300_000);
  afterAll(async () => {
    await removeImages(used);
    rmSync(folder, { recursive: true, force: true });
    await server?.stop();
  });

  const pushed = (by: Registries, tag = 't1') => {
    used.add(`${server.host}/team/${name}:${tag}`);
    const signal = new AbortController().signal;
    const run = { docker: engine, onLine: (line: string) => lines.push(line), signal };
    return push(run, { image, name, tag }, { prefix: `${server.host}/team/`, registries: by });
  };

  it('takes an image, and gives the reference that names its content', async () => {
    const { image: pinned, digest } = await pushed(registries);
    expect(pinned).toBe(`${server.host}/team/${name}@${digest}`);
    expect((await pushed(registries, 't2')).digest, 'another tag, the same content').toBe(digest);
    expect(lines.join('\n')).toContain(`pushed ${pinned}`);
    expect(lines.join('\n')).not.toContain(LOGIN.password);
  });

  it('lets a manifest be removed, once', async () => {
    const reference = pinnedReference((await pushed(registries)).image);
    if (reference === undefined) throw new Error('not pinned');
    if (password) expect(await new Registries().remove(reference)).toBe('refused');
    expect(await registries.remove(reference)).toBe('removed');
    expect(await registries.remove(reference)).toBe('gone');
  });

  it.runIf(password)('that refuses says what is missing', async () => {
    await expect(pushed(new Registries())).rejects.toMatchObject({
      code: 'unavailable',
      fix: expect.stringContaining('KILN_REGISTRY_AUTH'),
    });
  });

  it.runIf(password)('that refuses a push leaves no name of the image behind, but one that was there', async () => {
    const exists = (tag: string) =>
      engine
        .getImage(`${server.host}/team/${name}:${tag}`)
        .inspect()
        .then(
          () => true,
          () => false,
        );
    await pushed(registries, 't3');
    for (const tag of ['t3', 't4']) await expect(pushed(new Registries(), tag)).rejects.toMatchObject({ code: 'unavailable' });
    expect([await exists('t3'), await exists('t4')]).toEqual([true, false]);
  });
});
