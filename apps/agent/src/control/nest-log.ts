import type { LoggerService } from '@nestjs/common';
import type { Logger } from 'pino';

/** Nest's own log lines, into ours: its chatter about routes is for debugging. */
export function nestLog(pino: Logger): LoggerService {
  let said = '';
  return {
    log: (message: unknown) => pino.debug(String(message)),
    debug: (message: unknown) => pino.debug(String(message)),
    verbose: (message: unknown) => pino.trace(String(message)),
    warn: (message: unknown) => pino.warn(String(message)),
    fatal: (message: unknown) => pino.fatal(String(message)),
    // While Redis is away its client repeats itself every second: once is enough.
    error: (message: unknown) => {
      const text = message instanceof Error ? message.message : String(message);
      if (text !== said) pino.error(text);
      said = text;
    },
  };
}
