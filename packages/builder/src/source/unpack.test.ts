import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { KilnError } from '@kiln/contract/errors';
import { type Header, pack } from 'tar-stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { unpack } from './unpack.js';

const LIMITS = { unpackedBytes: 10 * 1024 * 1024, files: 100 };
let outer: string;
let root: string;
beforeEach(() => {
  outer = mkdtempSync(join(tmpdir(), 'kiln-unpack-'));
  root = mkdtempSync(join(outer, 'root-'));
});
afterEach(() => rmSync(outer, { recursive: true }));

type Entry = Partial<Header> & { name: string; content?: string };

async function gzipTar(entries: Entry[]): Promise<Buffer> {
  const tar = pack();
  for (const { content, ...header } of entries) tar.entry(header, content ?? '');
  tar.finalize();
  return gzipSync(await buffer(Readable.from(tar)));
}

function send(bytes: Buffer | Readable, limits = LIMITS) {
  return unpack(Buffer.isBuffer(bytes) ? Readable.from([bytes]) : bytes, root, limits, new AbortController().signal);
}

async function refused(bytes: Buffer | Readable, limits = LIMITS): Promise<string> {
  const error: unknown = await send(bytes, limits).then(
    () => undefined,
    (reason) => reason,
  );
  if (!(error instanceof KilnError)) throw new Error(`not refused: ${String(error)}`);
  expect(error.code).toBe('bad_request');
  // Nothing lands beside the folder.
  expect(readdirSync(outer)).toHaveLength(1);
  return error.message;
}

describe('unpack', () => {
  it('writes files and folders, keeps only whether a file is executable, and hashes what it wrote', async () => {
    const folder = await send(
      await gzipTar(
        [
          { name: './' },
          { name: './index.js', content: 'hello' },
          { name: 'bin/', type: 'directory' },
          { name: 'bin/run', content: 'x', mode: 0o4755 },
          { name: `deep/${'long-name-'.repeat(20)}/f`, content: '' },
        ].map((entry) => (entry.name === './' ? { ...entry, type: 'directory' } : entry)) as Entry[],
      ),
    );
    expect(folder.files.map(({ path, executable }) => [path, executable])).toEqual([
      ['bin/run', true],
      [`deep/${'long-name-'.repeat(20)}/f`, false],
      ['index.js', false],
    ]);
    expect(folder.files.at(-1)?.hash).toBe(createHash('sha256').update('hello').digest('hex'));
    expect(readFileSync(join(root, 'index.js'), 'utf8')).toBe('hello');
    expect(statSync(join(root, 'bin/run')).mode & 0o7777).toBe(0o600);
  });

  it('leaves out node_modules and .git, with whatever is in them', async () => {
    const folder = await send(
      await gzipTar([
        { name: 'a.js', content: '1' },
        { name: 'node_modules/.bin/x', type: 'symlink', linkname: '/etc/passwd' },
        { name: 'sub/node_modules/y.js', content: 'y' },
        { name: '.git/config', content: 'c' },
      ]),
    );
    expect(folder.files.map(({ path }) => path)).toEqual(['a.js']);
    expect(readdirSync(root)).toEqual(['a.js']);
  });

  it.each<[string, Entry[], RegExp]>([
    ['an absolute path', [{ name: '/etc/passwd', content: 'x' }], /"\/etc\/passwd".*absolute/],
    ['a path that leaves', [{ name: 'a/../../b', content: 'x' }], /"a\/\.\.\/\.\.\/b".*"\.\."/],
    ['".." that stays inside', [{ name: 'a/../b', content: 'x' }], /"\.\."/],
    ['a symbolic link', [{ name: 'link', type: 'symlink', linkname: '/etc' }], /"link".*symlink/],
    ['a hard link', [{ name: 'link', type: 'link', linkname: 'a' }], /"link".*is a link/],
    [
      'a file through a link',
      [
        { name: 'l', type: 'symlink', linkname: '/tmp' },
        { name: 'l/x', content: 'x' },
      ],
      /"l".*symlink/,
    ],
    ['a character device', [{ name: 'dev', type: 'character-device' }], /"dev".*character-device/],
    ['a block device', [{ name: 'dev', type: 'block-device' }], /block-device/],
    ['a pipe', [{ name: 'pipe', type: 'fifo' }], /fifo/],
    [
      'a file twice',
      [
        { name: 'a', content: '1' },
        { name: './a', content: '2' },
      ],
      /"\.\/a".*twice/,
    ],
    [
      'two spellings of one name',
      [
        { name: 'é', content: '1' },
        { name: 'e\u0301', content: '2' },
      ],
      /twice/,
    ],
    [
      'a file and a folder of one name',
      [
        { name: 'a', content: '1' },
        { name: 'a/b', content: '2' },
      ],
      /"a\/b".*file and a folder/,
    ],
    [
      'a folder and a file of one name',
      [
        { name: 'a/b', content: '2' },
        { name: 'a', content: '1' },
      ],
      /"a".*twice/,
    ],
    ['a name of 256 bytes', [{ name: 'x'.repeat(256), content: '1' }], /more than 255 bytes/],
    ['a path of more than 1000 bytes', [{ name: `${'x/'.repeat(501)}y`, content: '1' }], /more than 1000 bytes/],
    ['nothing', [], /no file/],
  ])('refuses %s and names it', async (_what, entries, message) => {
    expect(await refused(await gzipTar(entries))).toMatch(message);
  });

  it('refuses more files than allowed', async () => {
    const entries = Array.from({ length: 101 }, (_, i) => ({ name: `f${i}`, content: '' }));
    expect(await refused(await gzipTar(entries))).toMatch(/"f100".*100 files/);
  });

  it('stops at a declared size over the limit before a byte of it is written', async () => {
    const tar = pack();
    tar.entry({ name: 'zeros', size: 10 * 1024 ** 3 });
    const head = (await buffer(
      Readable.from(
        (async function* () {
          for await (const chunk of tar) {
            yield chunk;
            return;
          }
        })(),
      ),
    )) as Buffer;
    const mebibyte = gzipSync(Buffer.alloc(1024 * 1024));
    let written = 0;
    const bomb = Readable.from(
      (async function* () {
        yield gzipSync(head);
        while (written < 3000) {
          written += 1;
          yield mebibyte;
        }
      })(),
    );
    expect(await refused(bomb)).toMatch(/"zeros".*larger than/);
    expect(written).toBeLessThan(1000);
    expect(existsSync(join(root, 'zeros'))).toBe(false);
  });

  it('adds sizes up: many files over the limit together are refused', async () => {
    const entries = Array.from({ length: 12 }, (_, i) => ({ name: `f${i}`, content: 'x'.repeat(1024 * 1024) }));
    expect(await refused(await gzipTar(entries))).toMatch(/"f10".*larger than/);
  });

  it('stops at endless zeros behind the last entry, and at an endless header', async () => {
    const zeros = gzipSync(Buffer.alloc(4 * 1024 * 1024));
    expect(await refused(Readable.from([await gzipTar([{ name: 'a', content: 'a' }]), zeros, zeros]))).toMatch(/too large/);
    const tar = pack();
    tar.entry({ name: 'x'.repeat(2_000_000), content: 'x' } as Entry, 'x');
    tar.finalize();
    expect(await refused(gzipSync(await buffer(Readable.from(tar))))).toMatch(/archive|header|tar/i);
  });

  it('stops at an upload that compresses badly', async () => {
    const { randomBytes } = await import('node:crypto');
    const noise = gzipSync(randomBytes(1024));
    const endless = Readable.from(
      (function* () {
        for (let i = 0; i < 20_000; i += 1) yield noise;
      })(),
    );
    expect(await refused(endless, { unpackedBytes: 64 * 1024, files: 10 })).toMatch(/tar|large/);
  });

  it.each([
    ['what is no gzip', Buffer.from('plain text')],
    ['a gzip that is no tar', gzipSync(Buffer.alloc(2048, 'x'))],
    ['nothing at all', Buffer.alloc(0)],
  ])('refuses %s', async (_what, bytes) => {
    expect(await refused(bytes)).toMatch(/gzip tar|no file/);
  });

  it('refuses a gzip or tar that ends early', async () => {
    const whole = await gzipTar([{ name: 'a', content: 'x'.repeat(100_000) }]);
    expect(await refused(whole.subarray(0, whole.length - 20))).toMatch(/whole gzip tar/);
    rmSync(root, { recursive: true });
    root = mkdtempSync(join(outer, 'root-'));
    const tar = await buffer(
      Readable.from(
        (() => {
          const cut = pack();
          cut.entry({ name: 'a' }, 'x'.repeat(100_000));
          cut.finalize();
          return cut;
        })(),
      ),
    );
    expect(await refused(gzipSync(tar.subarray(0, 50_000)))).toMatch(/whole gzip tar/);
  });
});
