import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { endGroup, GitFailure } from '../repository/run-git.js';

const HEADER = /^([0-9a-f]{40}) blob (\d+)$/;
const MAX_HEADER_BYTES = 200;
const LF = 10;

/** Reads contents of files exactly as git stores them, without filters, attributes or changed line endings. One file at a time. */
export class Blobs {
  private readonly child: ChildProcessByStdio<Writable, Readable, null>;
  private readonly chunks: AsyncIterator<Buffer>;
  private rest: Buffer = Buffer.alloc(0);

  constructor(repository: string, env: Record<string, string>) {
    const args = ['--git-dir', repository, 'cat-file', '--batch'];
    this.child = spawn('git', args, { env, stdio: ['pipe', 'pipe', 'ignore'], detached: true });
    this.child.on('error', () => this.child.stdout.destroy());
    this.child.stdin.on('error', () => undefined);
    this.chunks = this.child.stdout[Symbol.asyncIterator]();
  }

  /** @throws GitFailure where the blob is missing, or git has ended */
  async *content(id: string): AsyncGenerator<Buffer> {
    this.child.stdin.write(`${id}\n`);
    let left = await this.header(id);
    while (left > 0) {
      const chunk = await this.chunk();
      const taken = chunk.subarray(0, left);
      this.rest = chunk.subarray(taken.length);
      left -= taken.length;
      yield taken;
    }
    const end = await this.chunk();
    if (end[0] !== LF) throw new GitFailure('git cat-file sent an unexpected response');
    this.rest = end.subarray(1);
  }

  /** The first bytes of a file; git sends all of them in any case. */
  async start(id: string, bytes = Number.POSITIVE_INFINITY): Promise<Buffer> {
    const chunks: Buffer[] = [];
    let kept = 0;
    for await (const chunk of this.content(id)) {
      if (kept < bytes) chunks.push(chunk.subarray(0, bytes - kept));
      kept += chunk.length;
    }
    return Buffer.concat(chunks);
  }

  close(): void {
    endGroup(this.child);
  }

  private async header(id: string): Promise<number> {
    let line = await this.chunk();
    while (!line.includes(LF)) {
      if (line.length > MAX_HEADER_BYTES) throw new GitFailure('git cat-file sent an unexpected response');
      this.rest = Buffer.alloc(0);
      line = Buffer.concat([line, await this.chunk()]);
    }
    const end = line.indexOf(LF);
    this.rest = line.subarray(end + 1);
    const [, found, size] = HEADER.exec(line.subarray(0, end).toString('latin1')) ?? [];
    if (found !== id) throw new GitFailure(`git has no file ${id}`);
    return Number(size);
  }

  /** The unused rest of the last chunk, or the next chunk; never empty. */
  private async chunk(): Promise<Buffer> {
    if (this.rest.length > 0) return this.rest;
    const { done, value } = await this.chunks.next();
    if (done === true) throw new GitFailure('git cat-file ended early');
    return value;
  }
}
