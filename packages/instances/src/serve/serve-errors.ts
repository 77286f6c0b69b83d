import { KilnError } from '@kiln/contract/errors';
import { type Outcome, SLOW_BODY } from '@kiln/forward/exchange/forward';
import { AnswerError, UnsendableError } from '@kiln/forward/headers/headers';
import type { Instance } from '../instance/instance.js';
import type { FunctionVersion } from '../port/container-driver.js';
import { crashed } from '../port/exit.js';

/** The reason of an abort because the function did not answer in its time. */
export const TIMEOUT = 'timeout';

/** What a caller is told of whose exchange nothing has been answered. */
export async function failureOf(outcome: Extract<Outcome, { responseStarted: boolean }>, instance: Instance): Promise<KilnError> {
  switch (outcome.kind) {
    case 'body_too_large':
      return new KilnError('payload_too_large', 'the request body is larger than the function’s maxBody');
    case 'aborted':
      if (outcome.reason === TIMEOUT) return timedOut(instance);
      return new KilnError(outcome.reason === SLOW_BODY ? 'bad_request' : 'unavailable', outcome.reason);
    case 'broken':
      return whyBroken(instance, outcome.error);
  }
}

/** Why there is no whole answer to a request: the answer breaks HTTP, the process ended, or it cut the connection. */
async function whyBroken(instance: Instance, broken: Error): Promise<KilnError> {
  if (broken instanceof AnswerError) {
    return new KilnError('bad_response', `the function’s answer breaks HTTP: ${broken.message}`, {
      fix: 'let an HTTP library write the answer, or correct what the function writes to the connection itself',
      cause: broken,
    });
  }
  const { container, log, version } = instance;
  const exit = await container?.exitNews();
  const { memory } = version.config;
  if (exit !== undefined) return crashed(exit, log?.lastLines ?? [], memory);
  // Its main process lives on: a worker of it was killed.
  if (container?.lackedMemory) {
    return new KilnError('function_crashed', `a process of the function ran out of memory (limit ${memory} MB, all of them together)`, {
      cause: broken,
      fix: 'raise "memory" in kiln.json',
    });
  }
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

/** No byte of a request reached an instance: whoever sent it may send it elsewhere. */
export function notReached({ function: name }: FunctionVersion, fault: Error): KilnError {
  if (fault instanceof UnsendableError) return new KilnError('bad_request', `the request cannot be sent on: ${fault.message}`);
  return new KilnError('no_capacity', `no instance of "${name}" on this node takes the request (${fault.message})`, { cause: fault });
}
