import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Registries } from './registries.js';

const basic = (text: string) => Buffer.from(text).toString('base64');

describe('the file of logins', () => {
  let folder: string;
  let path: string;
  const registries = (optional = false) => new Registries({ path, optional });
  const write = (content: unknown, mode = 0o600) => {
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
    chmodSync(path, mode);
  };
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'kiln-logins-'));
    path = join(folder, 'registries.json');
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('gives each host its own, and no other host anything', async () => {
    write({
      auths: {
        'ghcr.io': { auth: basic('me:a:token') },
        'https://index.docker.io/v1/': { username: 'you', password: 'p' },
        'registry.example.com:5000': { identitytoken: 'given' },
      },
      HttpHeaders: { 'User-Agent': 'Docker-Client' },
    });
    expect(await registries().login('ghcr.io')).toMatchObject({ username: 'me', password: 'a:token' });
    expect(await registries().login(undefined)).toMatchObject({ username: 'you', password: 'p' });
    expect(await registries().login('registry.example.com:5000')).toMatchObject({ identitytoken: 'given' });
    expect(await registries().login('ghcr.io.example.com')).toBeUndefined();
    expect(await registries().login('registry.example.com')).toBeUndefined();
  });

  it('counts as it is now, not as it was at the start', async () => {
    write({ auths: { a: { username: 'u', password: 'old' } } });
    const changing = registries();
    expect(await changing.login('a')).toMatchObject({ password: 'old' });
    write({ auths: { a: { username: 'u', password: 'new' } } });
    expect(await changing.login('a')).toMatchObject({ password: 'new' });
  });

  it('is refused where others may read it', async () => {
    write({ auths: {} }, 0o640);
    await expect(registries().login('a')).rejects.toMatchObject({ message: expect.stringMatching(/mode 640/), fix: `chmod 600 ${path}` });
  });

  it('says nothing of its content when it can’t be used', async () => {
    for (const content of ['{"auths": {"a": {"password": "s3cret"', { auths: { a: { username: 's3cret' } } }, { auths: { a: 's3cret' } }]) {
      write(content);
      const error: Error = await registries()
        .login('a')
        .then(
          () => new Error('was accepted'),
          (reason) => reason,
        );
      expect(error).toMatchObject({ code: 'unavailable', message: expect.stringContaining(path) });
      expect(JSON.stringify([error.message, { ...error }])).not.toContain('s3cret');
    }
  });

  it('may be missing unless somebody named it', async () => {
    rmSync(path, { force: true });
    expect(await registries(true).login('a')).toBeUndefined();
    await expect(registries(false).login('a')).rejects.toThrow(/no such file/);
  });
});
