import 'reflect-metadata';
import { EnvironmentError } from '@kiln/contract/config/environment';
import { raisePriority } from '@kiln/service/process-priority';
import { logUnhandledRejections } from '@kiln/service/unhandled-rejections';
import { pino } from 'pino';
import { readConfig } from './config.js';
import { type Router, startRouter } from './router.js';

const EXIT_USAGE = 2;
const EXIT_FAILED = 1;

async function main(): Promise<void> {
  const config = readConfig();
  const log = pino({ level: config.logLevel, base: { app: 'router' } });
  logUnhandledRejections(log);
  raisePriority();
  const router = await startRouter(config, log);
  stopOnSignals(router, log);
  process.stdout.write(`router ready data=${router.dataUrl} control=${router.controlUrl}\n`);
}

/** Ends in order on a signal, and when the supervisor that started this process is gone. */
function stopOnSignals(router: Router, log: pino.Logger): void {
  let stopping = false;
  const stop = (why: string) => {
    if (stopping) return;
    stopping = true;
    log.info({ why }, 'shutdown started');
    router.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, 'shutdown failed');
        process.exit(EXIT_FAILED);
      },
    );
  };
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
  process.on('disconnect', () => stop('the supervisor is gone'));
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof EnvironmentError ? error.message : describe(error)}\n`);
  process.exit(error instanceof EnvironmentError ? EXIT_USAGE : EXIT_FAILED);
});

function describe(error: unknown): string {
  const { code, address, port } = error as NodeJS.ErrnoException & { address?: string; port?: number };
  if (code !== undefined && port !== undefined) {
    return `the router can't listen on ${address}:${port} (${code}): set KILN_HTTP_PORT, KILN_CONTROL_PORT or KILN_BIND`;
  }
  return `the router does not start: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}
