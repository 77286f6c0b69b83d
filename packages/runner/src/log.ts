import { AsyncLocalStorage } from 'node:async_hooks';
import { format } from 'node:util';

/** The agent keeps 16 KiB of a line, and the line holds more than the message. */
const MAX_MESSAGE = 15 * 1024;
/** By method of the console. */
const LEVELS = { debug: 'debug', log: 'info', info: 'info', warn: 'warn', error: 'error' } as const;

const requestIds = new AsyncLocalStorage<string>();

/** Lines of `action`, and of all that it starts, get the request's id. */
export function withRequestId<T>(requestId: string, action: () => T): T {
  return requestIds.run(requestId, action);
}

/** Makes of every console line one JSON line for the agent, with level and request id. Other methods of the console end in these. */
export function consoleToAgent(): void {
  for (const [method, level] of Object.entries(LEVELS) as [keyof typeof LEVELS, string][]) {
    console[method] = (...values: unknown[]) => writeLine(level, format(...values));
  }
  console.dir = (value: unknown) => writeLine('info', format('%O', value));
}

function writeLine(level: string, text: string): void {
  const cut = text.length - MAX_MESSAGE;
  const message = cut > 0 ? `${text.slice(0, MAX_MESSAGE)}… (${cut} more characters)` : text;
  process.stdout.write(`${JSON.stringify({ kiln: 1, level, requestId: requestIds.getStore(), message })}\n`);
}
