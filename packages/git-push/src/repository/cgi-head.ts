import { once } from 'node:events';
import type { Readable } from 'node:stream';

const MAX_HEAD_BYTES = 16 * 1024;
const END = Buffer.from('\r\n\r\n');

export interface CgiHead {
  status: number;
  contentType: string;
}

/** Reads the head of a CGI response; the stream then starts with the body. @throws Error where the head is cut off or too long */
export async function readCgiHead(output: Readable): Promise<CgiHead> {
  let read = Buffer.alloc(0);
  for (;;) {
    const chunk = output.read() as Buffer | null;
    if (chunk === null) {
      if (output.readableEnded || output.destroyed) throw new Error('git http-backend ended without a response');
      await Promise.race([once(output, 'readable'), once(output, 'end'), once(output, 'close')]);
      continue;
    }
    read = Buffer.concat([read, chunk]);
    const end = read.indexOf(END);
    if (end >= 0) {
      output.unshift(read.subarray(end + END.length));
      return parseHead(read.subarray(0, end).toString('latin1'));
    }
    if (read.length > MAX_HEAD_BYTES) throw new Error('git http-backend sent too long a head');
  }
}

function parseHead(text: string): CgiHead {
  const lines = text.split('\r\n').map((line): [string, string] => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  const fields = new Map(lines);
  return { status: Number.parseInt(fields.get('status') ?? '200', 10), contentType: fields.get('content-type') ?? 'text/plain' };
}
