import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createGzip, gzipSync } from 'node:zlib';
import type { BuildLine } from '@kiln/contract/api/control-api';
import { call } from '@kiln/testing/call';
import { type Cluster, startCluster } from '@kiln/testing/cluster';
import { type Header, pack } from 'tar-stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({ nodes: 1 });
});
afterAll(() => cluster?.stop());

const INDEX = 'module.exports = (req, res) => res.end("ok");';

function tarOf(...entries: [Partial<Header> & { name: string }, string?][]): Readable {
  const archive = pack();
  archive.entry({ name: 'index.js' }, INDEX);
  for (const [header, content] of entries) archive.entry(header, content ?? '');
  archive.finalize();
  return archive.pipe(createGzip());
}

/** Sends an upload. A refusal may come as the answer itself or, where the answer had begun, as its last line. */
async function upload(body: Readable | Buffer, name = 'attack'): Promise<{ status: number; code: string; detail: string }> {
  const answer = await call(cluster.router.ports.control, `/v1/functions/${name}/builds`, {
    method: 'POST',
    headers: { authorization: `Bearer ${cluster.shared.adminKey}`, 'content-type': 'application/gzip' },
    body,
    timeoutMs: 120_000,
  });
  const last = JSON.parse(answer.text.trim().split('\n').at(-1) as string) as BuildLine & { code: string; detail: string };
  return { status: answer.status, code: last.code, detail: last.detail };
}

async function nothingCameIntoBeing(name = 'attack'): Promise<void> {
  expect((await cluster.api('GET', `/v1/functions/${name}`)).status).toBe(404);
  expect(await cluster.containers()).toEqual([]);
}

const ATTACKS: [string, () => Readable, RegExp][] = [
  ['a path with ..', () => tarOf([{ name: '../../tmp/kiln-escape' }, 'x']), /\.\./],
  ['a path with .. inside', () => tarOf([{ name: 'a/../../../tmp/kiln-escape' }, 'x']), /\.\./],
  ['an absolute path', () => tarOf([{ name: '/tmp/kiln-escape' }, 'x']), /tmp\/kiln-escape/],
  ['a symbolic link that leaves', () => tarOf([{ name: 'link', type: 'symlink', linkname: '/etc/passwd' }]), /link/],
  ['a symbolic link up', () => tarOf([{ name: 'link', type: 'symlink', linkname: '../..' }], [{ name: 'link/kiln-escape' }, 'x']), /link/],
  ['a hard link that leaves', () => tarOf([{ name: 'hard', type: 'link', linkname: '/etc/passwd' }]), /hard|link/],
  ['a device', () => tarOf([{ name: 'dev', type: 'block-device', devmajor: 8, devminor: 0 }]), /dev/],
  ['a character device', () => tarOf([{ name: 'mem', type: 'character-device', devmajor: 1, devminor: 1 }]), /mem/],
  ['a fifo', () => tarOf([{ name: 'pipe', type: 'fifo' }]), /pipe|fifo/],
  ['a name of 5 KB', () => tarOf([{ name: `${'x'.repeat(5000)}` }, 'x']), /more than \d+ bytes/],
  ['a name with NUL from a pax header', () => tarOf([{ name: 'a', pax: { path: '../../kiln-escape' } }, 'x']), /kiln-escape|\.\./],
];

describe('a tar with', () => {
  it.each(ATTACKS)('%s is refused with its name, and nothing is written or half-created', async (_what, tar, names) => {
    const refusal = await upload(tar());
    expect([refusal.status, refusal.code], refusal.detail).toEqual([400, 'bad_request']);
    expect(refusal.detail).toMatch(names);
    expect(existsSync('/tmp/kiln-escape')).toBe(false);
    await nothingCameIntoBeing();
  });

  it('10 GiB of zeros is refused long before they are read, and no disk is filled', async () => {
    const started = performance.now();
    const refusal = await upload(zerosTar(10 * 1024 ** 3));
    console.info(`10 GiB of zeros: refused after ${((performance.now() - started) / 1000).toFixed(1)} s`);
    expect([400, 413], refusal.detail).toContain(refusal.status);
    expect(['bad_request', 'payload_too_large']).toContain(refusal.code);
    await nothingCameIntoBeing();
  }, 120_000);
});

describe('an upload that is no tar', () => {
  it.each([
    ['not gzip', Buffer.from('hello')],
    ['empty', Buffer.alloc(0)],
    ['gzip of something else', gzipSync(Buffer.alloc(2000, 'kiln'))],
    ['broken off', gzipSync(Buffer.alloc(100_000, 1)).subarray(0, 60)],
  ])('%s is refused', async (_what, body) => {
    const refusal = await upload(body);
    expect([refusal.status, refusal.code], refusal.detail).toEqual([400, 'bad_request']);
    await nothingCameIntoBeing();
  });

  it('but breaks off on the wire leaves nothing', async () => {
    const abort = new AbortController();
    const endless = new Readable({
      read() {
        this.push(Buffer.alloc(64 * 1024, 7));
      },
    });
    const broken = call(cluster.router.ports.control, '/v1/functions/attack/builds', {
      method: 'POST',
      headers: { authorization: `Bearer ${cluster.shared.adminKey}` },
      body: endless,
      signal: abort.signal,
    }).catch((error: Error) => error);
    abort.abort();
    await broken;
    await nothingCameIntoBeing();
  });
});

describe('a folder', () => {
  it('without anything to run is refused with what to do', async () => {
    const archive = pack();
    archive.entry({ name: 'notes.txt' }, 'nothing here');
    archive.finalize();
    const refusal = await upload(archive.pipe(createGzip()));
    expect([refusal.status, refusal.code], refusal.detail).toEqual([400, 'bad_request']);
    await nothingCameIntoBeing();
  });

  it.each([
    ['{ "timeOut": 5 }', /timeOut.*timeout/],
    ['{ "timeout": -1 }', /timeout/],
    ['{ broken', /kiln\.json/],
    ['[]', /kiln\.json/],
  ])('with the kiln.json %s is refused with the field', async (kilnJson, field) => {
    const refusal = await upload(tarOf([{ name: 'kiln.json' }, kilnJson]));
    expect([refusal.status, refusal.code], refusal.detail).toEqual([400, 'bad_request']);
    expect(refusal.detail).toMatch(field);
    await nothingCameIntoBeing();
  });
});

it('uploads leave no folder behind', () => {
  expect(readdirSync(cluster.shared.temporary)).toEqual([]);
  expect(readdirSync(join(cluster.shared.home, 'builds'))).toEqual([]);
});

/** A tar of one file of so many zeros, made as it is read: gzip takes it to a thousandth. */
function zerosTar(bytes: number): Readable {
  const archive = pack();
  const entry = archive.entry({ name: 'zeros', size: bytes });
  const chunk = Buffer.alloc(1024 * 1024);
  let left = bytes;
  const more = () => {
    while (left > 0) {
      left -= chunk.length;
      if (!entry.write(chunk)) {
        entry.once('drain', more);
        return;
      }
    }
    entry.end(Buffer.alloc(0));
    archive.finalize();
  };
  more();
  const gzip = createGzip({ level: 1 });
  gzip.on('close', () => {
    left = 0;
    archive.destroy(new Error('nobody reads it any more'));
  });
  archive.on('error', () => {});
  return archive.pipe(gzip);
}
