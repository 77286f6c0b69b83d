import type { LoggerService } from '@nestjs/common';
import type { Logger } from 'pino';

/** Writes Nest's own lines to our log. Its lines about wiring get level debug. */
export function nestLogger(pino: Logger): LoggerService {
  const at =
    (level: 'error' | 'warn' | 'debug' | 'trace') =>
    (message: unknown, ...rest: unknown[]) => {
      const context = rest.at(-1);
      const nest = typeof context === 'string' ? context : undefined;
      if (message instanceof Error) pino[level]({ nest, err: message }, message.message);
      else pino[level]({ nest }, String(message));
    };
  return { log: at('debug'), error: at('error'), warn: at('warn'), debug: at('debug'), verbose: at('trace') };
}
