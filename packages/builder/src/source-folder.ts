import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { KilnError } from '@kiln/contract/errors';

export interface SourceFile {
  path: string;
  size: number;
  executable: boolean;
  /** SHA-256 of the content, hex. */
  hash: string;
}

const MAX_READ_BYTES = 1024 * 1024;

/** What the archive held, unpacked in a temporary folder. */
export class SourceFolder {
  readonly #byPath: ReadonlyMap<string, SourceFile>;
  readonly files: readonly SourceFile[];

  constructor(
    readonly root: string,
    files: readonly SourceFile[],
  ) {
    this.files = files.toSorted((a, b) => (a.path < b.path ? -1 : 1));
    this.#byPath = new Map(files.map((file) => [file.path, file]));
  }

  has(path: string): boolean {
    return this.#byPath.has(path);
  }

  /** @throws KilnError `bad_request` where the file is no JSON or absurdly large. */
  async readJson(path: string): Promise<unknown> {
    const text = await this.readText(path);
    try {
      return JSON.parse(text);
    } catch (error) {
      throw new KilnError('bad_request', `${path} is not JSON: ${(error as Error).message}`, {
        fields: [{ field: path, message: (error as Error).message }],
      });
    }
  }

  async readText(path: string): Promise<string> {
    if ((this.#byPath.get(path)?.size ?? 0) > MAX_READ_BYTES)
      throw new KilnError('bad_request', `${path} is larger than ${MAX_READ_BYTES} bytes`);
    return await readFile(join(this.root, path), 'utf8');
  }

  /** The first part of a text that may be of any length. */
  async readStart(path: string, bytes = 256 * 1024): Promise<string> {
    const file = await open(join(this.root, path));
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, 0);
      return buffer.toString('utf8', 0, bytesRead);
    } finally {
      await file.close();
    }
  }
}
