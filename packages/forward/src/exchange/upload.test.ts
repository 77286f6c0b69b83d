import { PassThrough, Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { passUpload } from './upload.js';

/** Takes all, or waits for leave before each chunk. */
class Taker extends Writable {
  bytes = 0;
  private leave: (() => void) | undefined;

  constructor(private readonly waits = false) {
    super({ highWaterMark: 1 });
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.bytes += chunk.length;
    if (this.waits) this.leave = done;
    else done();
  }

  go(): void {
    this.leave?.();
  }
}

describe('passUpload', () => {
  it('passes all of it on', async () => {
    const source = new PassThrough();
    const taker = new Taker();
    const passed = passUpload(source, taker, { maxBytes: 100 });
    source.write('abc');
    source.end('def');
    await passed;
    expect([taker.bytes, taker.writableFinished]).toEqual([6, true]);
  });

  it('cuts off a sender that falls silent, and leaves its connection to read the answer', async () => {
    const source = new PassThrough();
    const passed = passUpload(source, new Taker(), { maxBytes: 100, idleMs: 30 });
    source.write('abc');
    await expect(passed).rejects.toMatchObject({ code: 'bad_request', message: expect.stringMatching(/no byte came for 0.03 s/) });
    expect(source.destroyed).toBe(false);
  });

  it('cuts nobody off while it is the receiver that is slow', async () => {
    const source = new PassThrough();
    const taker = new Taker(true);
    const passed = passUpload(source, taker, { maxBytes: 100, idleMs: 30 });
    source.write('abc');
    let settled = false;
    void passed.then(() => {
      settled = true;
    });
    // Longer than a silent sender has: this time is the subject.
    await new Promise((resolve) => setTimeout(resolve, 120));
    expect(settled).toBe(false);
    source.end();
    taker.go();
    await passed;
    expect(taker.bytes).toBe(3);
  });

  it('refuses what is too large', async () => {
    const source = new PassThrough();
    const passed = passUpload(source, new Taker(), { maxBytes: 3 });
    source.write('abcd');
    await expect(passed).rejects.toMatchObject({ code: 'payload_too_large' });
  });

  it('tells a sender that broke off from one that has sent all', async () => {
    const source = new PassThrough();
    const passed = passUpload(source, new Taker(), { maxBytes: 3 });
    source.destroy();
    await expect(passed).rejects.toMatchObject({ message: 'the upload broke off' });
  });
});
