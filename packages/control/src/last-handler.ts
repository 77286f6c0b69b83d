import type { Logger } from 'pino';

/**
 * For work that nobody awaits: a look every second, the end of an exchange. Each deals with the faults it knows of; one that it does not
 * know must not end the process, and every request in it.
 */
export function outliveFaultsInBackground(log: Pick<Logger, 'error'>): void {
  process.on('unhandledRejection', (error) => log.error({ err: error }, 'background work failed'));
}
