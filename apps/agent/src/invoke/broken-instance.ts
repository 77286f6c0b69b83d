import { setTimeout as delay } from 'node:timers/promises';
import { KilnError } from '@kiln/contract/errors';
import { crashed } from '../pool/exit.js';
import type { Instance } from '../pool/instance.js';

/** A crash shows on the connection first; the engine says a moment later how the process ended. */
const EXIT_NEWS_MS = 1000;

/** Why the connection to an instance broke under a request: its process ended, or it cut the connection. */
export async function whyBroken(instance: Instance, broken: Error): Promise<KilnError> {
  const { container, log, version } = instance;
  const exit = await Promise.race([container?.exited, delay(EXIT_NEWS_MS, undefined, { ref: false })]);
  if (exit !== undefined) return crashed(exit, log?.lastLines ?? [], version.config.memory);
  return new KilnError('function_crashed', `the function closed the connection without a whole answer (${broken.message})`, {
    cause: broken,
  });
}

/** The function ran past its time. */
export function timedOut(instance: Instance): KilnError {
  const { function: name, config } = instance.version;
  return new KilnError('function_timeout', `"${name}" did not answer within its timeout of ${config.timeout} ms`, {
    fix: 'raise "timeout" in kiln.json if it needs longer',
  });
}
