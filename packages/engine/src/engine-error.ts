import { KilnError } from '@kiln/contract/errors';

const UNREACHABLE = new Set(['ECONNREFUSED', 'ENOENT', 'ECONNRESET', 'EACCES', 'EPIPE', 'ETIMEDOUT']);

/** The HTTP status with which the engine refused; undefined where it gave no response. */
export function statusOf(error: unknown): number | undefined {
  return (error as { statusCode?: number } | undefined)?.statusCode;
}

/** Makes a KilnError of an error of the engine's client; a KilnError stays as it is. */
export function engineError(what: string, error: unknown): KilnError {
  if (error instanceof KilnError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code !== undefined && UNREACHABLE.has(code)) {
    return new KilnError('unavailable', `${what}: the Docker engine does not answer (${code})`, { fix: 'kiln doctor', cause: error });
  }
  return new KilnError('unavailable', `${what}: ${message}`, { cause: error });
}
