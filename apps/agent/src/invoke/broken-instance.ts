import { KilnError } from '@kiln/contract/errors';
import { crashed } from '../pool/exit.js';
import type { Instance } from '../pool/instance.js';

/** Why the connection to an instance broke under a request: its process ended, or it cut the connection. */
export async function whyBroken(instance: Instance, broken: Error): Promise<KilnError> {
  const { container, log, version } = instance;
  const exit = await container?.exitNews();
  const { memory } = version.config;
  if (exit !== undefined) return crashed(exit, log?.lastLines ?? [], memory);
  if (container?.lackedMemory) return lostProcess(memory, broken);
  return new KilnError('function_crashed', `the function closed the connection without a whole answer (${broken.message})`, {
    cause: broken,
  });
}

/** Its main process lives on: a worker of it was killed. */
function lostProcess(memory: number, cause: Error): KilnError {
  return new KilnError('function_crashed', `a process of the function ran out of memory (limit ${memory} MB, all of them together)`, {
    cause,
    fix: 'raise "memory" in kiln.json',
  });
}

/** The function ran past its time. */
export function timedOut(instance: Instance): KilnError {
  const { function: name, config } = instance.version;
  return new KilnError('function_timeout', `"${name}" did not answer within its timeout of ${config.timeout} ms`, {
    fix: 'raise "timeout" in kiln.json if it needs longer',
  });
}
