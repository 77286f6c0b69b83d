import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { UsageFailure } from '../failure.js';

const MAX_BYTES = 1024 * 1024;

/** The text of a file, or of stdin for `-`. @throws UsageFailure when it is unreadable, too long or no UTF-8 */
export async function readText(file: string, stdin: Readable): Promise<string> {
  const where = file === '-' ? 'stdin' : file;
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of file === '-' ? stdin : createReadStream(file)) {
      chunks.push(Buffer.from(chunk));
      size += chunks.at(-1)?.length ?? 0;
      if (size > MAX_BYTES) break;
    }
  } catch (error) {
    throw new UsageFailure(`cannot read ${where}: ${(error as Error).message}`, 'name an existing file, or - for stdin');
  }
  if (size > MAX_BYTES) throw new UsageFailure(`${where} is longer than ${MAX_BYTES} bytes`, 'give a shorter one');
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    throw new UsageFailure(`${where} is not UTF-8 text`, 'encode it first, for example: base64');
  }
}
