import type { Logger } from 'pino';

/** Logs unhandled rejections of background work. Without this, one unexpected error would end the process and every request in it. */
export function logUnhandledRejections(log: Pick<Logger, 'error'>): void {
  process.on('unhandledRejection', (error) => log.error({ err: error }, 'background work failed; the process continues'));
}
