import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { expect, it, onTestFinished } from 'vitest';
import { receiveSource } from './receive-source.js';

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'kiln-receive-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const never = new AbortController().signal;

it('keeps what was sent until it is removed', async () => {
  const folder = newFolder();
  const source = new PassThrough();
  source.end('all of it');
  const received = await receiveSource(source, folder, { signal: never });
  expect(await text(received.read())).toBe('all of it');
  await received.remove();
  expect(readdirSync(folder)).toEqual([]);
});

it('ends a sender that is silent, and keeps nothing', async () => {
  const folder = newFolder();
  const source = new PassThrough();
  source.write('half');
  await expect(receiveSource(source, folder, { signal: never, idleMs: 20 })).rejects.toMatchObject({ code: 'bad_request' });
  expect(readdirSync(folder)).toEqual([]);
});

it('keeps nothing where the build is cancelled', async () => {
  const folder = newFolder();
  const cancelled = new AbortController();
  const receiving = receiveSource(new PassThrough(), folder, { signal: cancelled.signal });
  cancelled.abort();
  await expect(receiving).rejects.toMatchObject({ code: 'unavailable' });
  expect(readdirSync(folder)).toEqual([]);
});
