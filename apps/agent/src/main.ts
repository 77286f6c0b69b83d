import { EnvironmentError } from '@kiln/contract/config/environment';
import { raisePriority } from '@kiln/service/process-priority';
import { logUnhandledRejections } from '@kiln/service/unhandled-rejections';
import type { INestApplication } from '@nestjs/common';
import { type Logger, pino } from 'pino';
import { startApplication } from './application.js';
import { type AgentConfig, readConfig } from './config.js';

/** After the drain: for the removal of instances and firewall rules, and for the store. */
const END_MS = 60_000;

async function main(): Promise<void> {
  const config = readConfig();
  const log = pino({ level: config.logLevel, base: { app: 'agent', node: config.nodeId } });
  logUnhandledRejections(log);
  raisePriority();
  // Before the start ends: a start that a signal interrupts must leave nothing behind either.
  const starting = startApplication(config, log);
  endOnSignals(starting, config, log);
  await starting;
}

function endOnSignals(starting: Promise<INestApplication>, config: AgentConfig, log: Logger): void {
  let ending = false;
  const end = (signal: string) => {
    // A terminal and the parent process may both send a signal.
    if (ending) return;
    ending = true;
    log.info({ signal }, 'shutdown started');
    setTimeout(() => {
      log.error('shutdown timed out');
      process.exit(1);
    }, config.drainTimeout + END_MS).unref();
    starting
      .then((app) => app.close())
      .then(
        () => process.exit(0),
        (error: unknown) => {
          log.error({ err: error }, 'shutdown failed');
          process.exit(1);
        },
      );
  };
  process.on('SIGINT', end);
  process.on('SIGTERM', end);
}

main().catch((error: unknown) => {
  const text = error instanceof EnvironmentError ? error.message : ((error as Error)?.stack ?? String(error));
  process.stderr.write(`${text}\n`);
  process.exit(error instanceof EnvironmentError ? 2 : 1);
});
