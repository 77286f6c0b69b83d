import type { Readable } from 'node:stream';

const MAX_LINE_CHARS = 1_048_576;

/** One JSON value per line; empty lines only keep the connection alive. @throws Error when a line is too long or not JSON */
export async function* readLines(stream: Readable): AsyncGenerator<unknown> {
  let rest = '';
  for await (const text of stream.setEncoding('utf8') as AsyncIterable<string>) {
    const lines = (rest + text).split('\n');
    rest = lines.pop() as string;
    if (rest.length > MAX_LINE_CHARS) throw new Error(`a line is longer than ${MAX_LINE_CHARS} characters`);
    for (const line of lines) if (line.trim() !== '') yield JSON.parse(line);
  }
  if (rest.trim() !== '') yield JSON.parse(rest);
}
