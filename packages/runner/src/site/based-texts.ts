import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { BASED, withBase } from './site-list.js';

const MAX_KEPT_BYTES = 16 * 1024 * 1024;

interface BasedText {
  content: Buffer;
  gzip: Buffer;
}

/** The texts of a site that name the page's root, for requests by path: there the root is the prefix of the path. */
export class BasedTexts {
  readonly #kept = new Map<string, BasedText>();
  readonly #making = new Map<string, Promise<BasedText>>();
  #bytes = 0;

  constructor(
    private readonly root: string,
    private readonly base: string,
  ) {}

  async read(path: string, prefix: string): Promise<BasedText> {
    const key = `${prefix} ${path}`;
    const kept = this.#kept.get(key) ?? this.#making.get(key);
    if (kept !== undefined) return kept;
    // Once for all that ask at a time: each would hold copies of it.
    const making = this.#make(path, prefix).finally(() => this.#making.delete(key));
    this.#making.set(key, making);
    const text = await making;
    this.#keep(key, text);
    return text;
  }

  async #make(path: string, prefix: string): Promise<BasedText> {
    const content = withBase(await readFile(join(this.root, BASED, path)), this.base, prefix);
    return { content, gzip: await promisify(gzip)(content) };
  }

  /** The oldest go first. */
  #keep(key: string, text: BasedText): void {
    if (this.#kept.has(key)) return;
    this.#kept.set(key, text);
    this.#bytes += sizeOf(text);
    for (const [oldest, old] of this.#kept) {
      if (this.#bytes <= MAX_KEPT_BYTES) return;
      this.#kept.delete(oldest);
      this.#bytes -= sizeOf(old);
    }
  }
}

function sizeOf({ content, gzip }: BasedText): number {
  return content.length + gzip.length;
}
