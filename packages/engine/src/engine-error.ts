import { KilnError } from '@kiln/contract/errors';

const UNREACHABLE = new Set(['ECONNREFUSED', 'ENOENT', 'ECONNRESET', 'EACCES', 'EPIPE', 'ETIMEDOUT']);

export function isNotFound(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'statusCode' in error && error.statusCode === 404;
}

/** An error of the engine's client as one of ours; an error of ours stays as it is. */
export function engineError(what: string, error: unknown): KilnError {
  if (error instanceof KilnError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code !== undefined && UNREACHABLE.has(code)) {
    return new KilnError('unavailable', `${what}: the Docker engine does not answer (${code})`, { fix: 'kiln doctor', cause: error });
  }
  return new KilnError('unavailable', `${what}: ${message}`, { cause: error });
}
