import { StringDecoder } from 'node:string_decoder';

const MAX_LINE = 1024 * 1024;

/** One JSON object of the engine's answer to a build, a pull or a push. */
export interface EngineProgress {
  stream?: string;
  status?: string;
  id?: string;
  progressDetail?: { current?: number; total?: number };
  error?: string;
  errorDetail?: { message?: string };
  aux?: { ID?: string; Digest?: string };
}

/** The objects of an engine's answer, one at a time; a line that never ends or is no JSON is left out. */
export async function* progressOf(answer: AsyncIterable<Buffer>): AsyncGenerator<EngineProgress> {
  for await (const line of linesOf(answer, MAX_LINE)) {
    const parsed = parsedLine(line);
    if (parsed !== undefined) yield parsed;
  }
}

/** Lines of text, without their ends, cut at `max` characters. */
export async function* linesOf(chunks: AsyncIterable<Buffer>, max: number): AsyncGenerator<string> {
  // Chunks end anywhere, inside a character too.
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

function parsedLine(line: string): EngineProgress | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
