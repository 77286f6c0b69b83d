import { StringDecoder } from 'node:string_decoder';

const MAX_LINE = 1024 * 1024;

/** One JSON object of the engine's response to a build, a pull or a push. */
export interface EngineProgress {
  stream?: string;
  status?: string;
  id?: string;
  progressDetail?: { current?: number; total?: number };
  error?: string;
  errorDetail?: { message?: string };
  aux?: { ID?: string; Digest?: string };
}

/** The JSON objects of an engine's response, one on each line. Leaves out a line that is too long or is no JSON object. */
export async function* jsonLinesOf<T extends object = EngineProgress>(response: AsyncIterable<Buffer>): AsyncGenerator<T> {
  for await (const line of linesOf(response, MAX_LINE)) {
    const value = parsed(line);
    if (typeof value === 'object' && value !== null) yield value as T;
  }
}

/** Lines of text, without their ends, cut at `max` characters. */
export async function* linesOf(chunks: AsyncIterable<Buffer>, max: number): AsyncGenerator<string> {
  // A chunk may end anywhere, even inside a character.
  const decoder = new StringDecoder('utf8');
  let rest = '';
  for await (const chunk of chunks) {
    const lines = (rest + decoder.write(chunk)).split('\n');
    rest = (lines.pop() ?? '').slice(0, max);
    for (const line of lines) yield line.slice(0, max);
  }
  rest += decoder.end();
  if (rest !== '') yield rest;
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
