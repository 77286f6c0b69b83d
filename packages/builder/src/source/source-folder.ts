import { open } from 'node:fs/promises';
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

/** Reads a file from its start, at most so many bytes. */
export type ReadStart = (path: string, bytes: number) => Promise<Buffer>;

/** The sources of a function: an unpacked archive, a folder on the author's machine, or a commit. */
export class SourceFolder {
  readonly #byPath: ReadonlyMap<string, SourceFile>;
  readonly files: readonly SourceFile[];

  constructor(
    readonly root: string,
    files: readonly SourceFile[],
    private readonly read: ReadStart = fromDisk(root),
  ) {
    this.files = files.toSorted((a, b) => (a.path < b.path ? -1 : 1));
    this.#byPath = new Map(files.map((file) => [file.path, file]));
  }

  has(path: string): boolean {
    return this.#byPath.has(path);
  }

  /** @throws KilnError `bad_request` where the file is not JSON, or larger than 1 MiB */
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
    return (await this.read(path, MAX_READ_BYTES)).toString('utf8');
  }

  /** The start of a text of any length. */
  async readStart(path: string, bytes = 256 * 1024): Promise<string> {
    return (await this.read(path, bytes)).toString('utf8');
  }
}

function fromDisk(root: string): ReadStart {
  return async (path, bytes) => {
    const file = await open(join(root, path));
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  };
}
