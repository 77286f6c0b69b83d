import { StringDecoder } from 'node:string_decoder';
import { stripVTControlCharacters } from 'node:util';
import { z } from 'zod';

/** A line that a function wrote. */
export interface OutputLine {
  level: 'debug' | 'info' | 'warn' | 'error';
  message: string;
  requestId?: string | undefined;
}

const MAX_LINE_CHARS = 256 * 1024;

const runnerLine = z.object({
  kiln: z.literal(1),
  level: z.enum(['debug', 'info', 'warn', 'error']),
  requestId: z.string().optional(),
  message: z.string(),
});

/** What the runner wrote for console calls comes as JSON; whatever else is printed counts as a line of that stream. */
export function readOutputLine(text: string, stream: 'stdout' | 'stderr'): OutputLine {
  const plain: OutputLine = { level: stream === 'stderr' ? 'error' : 'info', message: stripVTControlCharacters(text) };
  if (stream === 'stderr' || !text.startsWith('{')) return plain;
  try {
    const { level, message, requestId } = runnerLine.parse(JSON.parse(text));
    return { level, message, requestId: requestId === '' ? undefined : requestId };
  } catch {
    return plain; // A function's own JSON.
  }
}

/** Cuts a stream into lines; a very long one is cut where it gets too long. */
export class Lines {
  private readonly decoder = new StringDecoder('utf8');
  private rest = '';

  constructor(private readonly onLine: (line: string) => void) {}

  push(chunk: Buffer): void {
    const lines = (this.rest + this.decoder.write(chunk)).split('\n');
    this.rest = lines.pop() ?? '';
    if (this.rest.length > MAX_LINE_CHARS) {
      lines.push(this.rest);
      this.rest = '';
    }
    for (const line of lines) this.onLine(line.replace(/\r$/, ''));
  }

  end(): void {
    if (this.rest !== '') this.onLine(this.rest);
    this.rest = '';
  }
}
