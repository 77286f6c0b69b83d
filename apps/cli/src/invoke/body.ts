import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { UsageFailure } from '../failure.js';

export interface Body {
  content: string | Readable;
  /** Unknown for a pipe. */
  length: number | undefined;
}

/** `-d text`, `-d @file` or `-d -` for stdin. */
export async function readBody(data: string, stdin: Readable): Promise<Body> {
  if (data === '-') return { content: stdin, length: undefined };
  if (!data.startsWith('@')) return { content: data, length: Buffer.byteLength(data) };
  const file = data.slice(1);
  const found = await stat(file).catch((error: Error) => {
    throw new UsageFailure(`cannot read ${file}: ${error.message}`, 'give -d an existing file, as @file');
  });
  if (found.isDirectory()) throw new UsageFailure(`${file} is a folder`, 'give -d a file, as @file');
  return { content: createReadStream(file), length: found.isFile() ? found.size : undefined };
}

/** `-H 'name: value'` lines as a flat list. */
export function parseHeaders(lines: readonly string[]): string[] {
  return lines.flatMap((line) => {
    const colon = line.indexOf(':');
    const [name, value] = [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
    if (colon < 1 || !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) || /[^\t\x20-\x7e\x80-\xff]/.test(value)) {
      throw new UsageFailure(`"${line}" is not a header`, "write it as -H 'name: value'");
    }
    return [name, value];
  });
}
