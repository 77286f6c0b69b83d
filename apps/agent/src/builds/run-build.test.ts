import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { KilnError } from '@kiln/contract/errors';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type BuildInput, Builds } from './run-build.js';

const BUILT = { image: 'sha256:1', digest: 'sha256:1', kind: 'http' as const, config: {} };

/** Builds that end when they are told to, or are cancelled. */
class Workshop {
  readonly begun: BuildInput[] = [];
  readonly faults: unknown[] = [];
  private readonly ends: PromiseWithResolvers<typeof BUILT>[] = [];
  readonly folder = mkdtempSync(join(tmpdir(), 'kiln-builds-'));
  readonly builds = new Builds(
    (input) => {
      this.begun.push(input);
      const end = Promise.withResolvers<typeof BUILT>();
      this.ends.push(end);
      input.signal.addEventListener('abort', () => end.reject(new KilnError('unavailable', 'the build was cancelled')));
      return end.promise;
    },
    this.folder,
    (fault) => this.faults.push(fault),
  );

  constructor() {
    onTestFinished(() => rmSync(this.folder, { recursive: true, force: true }));
  }

  /** Resolves when as many have begun as may. */
  async start(...names: string[]): Promise<Readable[]> {
    const outputs: Readable[] = [];
    for (const name of names) {
      const output = this.builds.start(name, Readable.from(['x']), { buildArgs: { WHO: name }, secrets: { token: 'QQ==' } });
      outputs.push(output);
      // Its source has come when it runs, or says that it waits.
      await expect.poll(() => output.readableLength > 0 || this.names().includes(name)).toBe(true);
    }
    await expect.poll(() => this.begun.length).toBe(2);
    return outputs;
  }

  end(index: number): void {
    this.ends[index]?.resolve(BUILT);
  }

  fail(index: number, error: Error): void {
    this.ends[index]?.reject(error);
  }

  names(): string[] {
    return this.begun.map(({ functionName }) => functionName);
  }
}

const lastOf = async (output: Readable) => JSON.parse((await text(output)).trim().split('\n').at(-1) as string) as { type: string };

describe('Builds', () => {
  it('runs two at a time, tells the others that they wait, and begins them in order', async () => {
    const workshop = new Workshop();
    const outputs = await workshop.start('a', 'b', 'c', 'd');
    expect(workshop.names()).toEqual(['a', 'b']);
    expect(workshop.begun[0]).toMatchObject({ buildArgs: { WHO: 'a' }, secrets: { token: 'QQ==' } });
    for (const index of [1, 0, 2, 3]) {
      workshop.end(index);
      await expect.poll(() => workshop.begun.length).toBeGreaterThanOrEqual(Math.min(4, index === 1 ? 3 : 4));
    }
    const lines = await Promise.all(outputs.map((output) => text(output)));
    expect(lines[0]).not.toContain('waiting');
    expect(lines[3]).toMatch(/waiting for one of 3 builds/);
    expect(workshop.names()).toEqual(['a', 'b', 'c', 'd']);
    for (const line of lines) expect(line).toContain('"type":"built"');
  });

  it('a build whose sender leaves while it waits gives its place away, and never begins', async () => {
    const workshop = new Workshop();
    const [first, , left, next] = await workshop.start('a', 'b', 'left', 'next');
    await once(left!.destroy(), 'close');
    workshop.end(0);
    expect(await lastOf(first as Readable)).toMatchObject({ type: 'built' });
    await expect.poll(() => workshop.names()).toEqual(['a', 'b', 'next']);
    await expect.poll(() => workshop.builds.isBuilding('left')).toBe(false);
    workshop.end(2);
    expect(await lastOf(next as Readable)).toMatchObject({ type: 'built' });
    for (const name of ['a', 'next']) await expect.poll(() => workshop.builds.isBuilding(name)).toBe(false);
  });

  it('senders that are silent hold no turn, and leave no file when they go', async () => {
    const workshop = new Workshop();
    const silent = ['s1', 's2', 's3'].map((name) => workshop.builds.start(name, new PassThrough()));
    const [first] = await workshop.start('a', 'b');
    expect(workshop.names()).toEqual(['a', 'b']);
    workshop.end(0);
    workshop.end(1);
    expect(await lastOf(first as Readable)).toMatchObject({ type: 'built' });
    for (const each of silent) each.destroy();
    await expect.poll(() => readdirSync(workshop.folder)).toEqual([]);
    for (const name of ['s1', 's2', 's3']) await expect.poll(() => workshop.builds.isBuilding(name)).toBe(false);
  });

  it('cancels a build whose sender leaves while it runs, and goes on with the next', async () => {
    const workshop = new Workshop();
    const [first] = await workshop.start('a', 'b', 'c');
    first?.destroy();
    await expect.poll(() => workshop.names()).toEqual(['a', 'b', 'c']);
    expect(workshop.begun[0]?.signal.aborted).toBe(true);
  });

  it('refuses what would wait behind too many', async () => {
    const workshop = new Workshop();
    await workshop.start(...Array.from({ length: 22 }, (_, i) => `f${i}`));
    expect(() => workshop.builds.start('more', new PassThrough())).toThrowError(/20 builds are waiting/);
  });

  it('tells an error of ours as it is, and of any other only that it was one', async () => {
    const workshop = new Workshop();
    const [ours, other] = await workshop.start('a', 'b');
    workshop.fail(0, new KilnError('bad_request', 'no Dockerfile', { fix: 'add one' }));
    workshop.fail(1, new Error('secret path'));
    expect(await lastOf(ours as Readable)).toEqual({ type: 'failed', code: 'bad_request', detail: 'no Dockerfile', fix: 'add one' });
    expect(await lastOf(other as Readable)).toMatchObject({ type: 'failed', code: 'internal' });
    expect(workshop.faults).toHaveLength(1);
  });
});
