import { buffer } from 'node:stream/consumers';
import { KilnError } from '@kiln/contract/errors';
import { versionMessage } from '@kiln/contract/records/records';
import { describe, expect, it } from 'vitest';
import { commitMessage } from './commit-message.js';
import { ignoreRules, isSent } from './ignore-rules.js';
import { parseKilnJson } from './kiln-json.js';
import { packFiles } from './pack.js';
import { sourceDigest } from './source-digest.js';

describe('isSent', () => {
  it('goes by both files, each by its own rule, and always sends what the builder reads', () => {
    const rules = ignoreRules('*.md\n!README.md\n', '*\n!src/\n!*.md\n');
    expect(['README.md', 'kiln.json', 'Dockerfile', 'x.js', 'sub/kiln.json'].filter((path) => isSent(path, rules))).toEqual([
      'README.md',
      'kiln.json',
      'Dockerfile',
    ]);
    expect(isSent('node_modules/', ignoreRules(undefined, undefined))).toBe(false);
    expect(isSent('node_modules/', ignoreRules(undefined, '!node_modules'))).toBe(true);
  });
});

describe('packFiles', () => {
  const file = { path: 'a', size: 3, executable: false };

  it('gives equal bytes for equal files', async () => {
    const pack = () =>
      buffer(
        packFiles([file], async function* () {
          yield Buffer.from('abc');
        }),
      );
    expect((await pack()).equals(await pack())).toBe(true);
  });

  it('fails with the content, and with one that is shorter than it was said to be', async () => {
    const failing = packFiles([file], async function* () {
      yield Buffer.from('a');
      throw new Error('gone');
    });
    await expect(buffer(failing)).rejects.toThrow('gone');
    await expect(buffer(packFiles([file], async function* () {}))).rejects.toThrow();
  });
});

describe('commitMessage', () => {
  it('is the short hash and the subject, marked where files differ from the commit', () => {
    expect(commitMessage('0123456789abcdef', 'Say hello')).toBe('0123456789 Say hello');
    expect(commitMessage('0123456789abcdef', 'Say hello', { changed: true })).toBe('0123456789 Say hello + changes');
    expect(commitMessage('0123456789abcdef', '')).toBe('0123456789');
  });

  it.each(['x'.repeat(500), '🎉'.repeat(200), `a${'🎉'.repeat(200)}`, 'a\u001b[2J\u0000b\u009bc\n'])(
    'is one that a version takes, of %j',
    (subject) => {
      for (const changed of [false, true]) {
        const message = commitMessage('0123456789abcdef', subject, { changed });
        expect(versionMessage.safeParse(message).success, message).toBe(true);
        expect(message.isWellFormed()).toBe(true);
        expect(message.endsWith(' + changes')).toBe(changed);
      }
    },
  );
});

describe('parseKilnJson', () => {
  it.each(['{', '[]', '"x"', 'null'])('refuses %s, naming the file', (text) => {
    expect(() => parseKilnJson(text, 'sub/kiln.json')).toThrowError(KilnError);
    expect(() => parseKilnJson(text, 'sub/kiln.json')).toThrowError(/^sub\/kiln.json /);
  });
});

describe('sourceDigest', () => {
  const files = [{ path: 'a', executable: false, hash: '1' }];

  it('is equal for equal files and configuration, whatever the order of its keys and the text of kiln.json', () => {
    const digest = sourceDigest(files, { timeout: 1, env: { A: '1', B: '2' } });
    expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    const json = { path: 'kiln.json', executable: false, hash: '9' };
    expect(sourceDigest([...files, json], { env: { B: '2', A: '1' }, timeout: 1 })).toBe(digest);
    for (const other of [
      { ...files[0], path: 'b' },
      { ...files[0], executable: true },
      { ...files[0], hash: '2' },
    ]) {
      expect(sourceDigest([other as (typeof files)[0]], { timeout: 1, env: { A: '1', B: '2' } })).not.toBe(digest);
    }
    expect(sourceDigest(files, { timeout: 2 })).not.toBe(digest);
  });
});
