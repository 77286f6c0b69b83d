import 'reflect-metadata';
import { setTimeout as delay } from 'node:timers/promises';
import { EnvironmentError } from '@kiln/contract/environment';
import type { INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { type Logger, pino } from 'pino';
import { Agent } from './agent.js';
import { AgentModule } from './agent.module.js';
import { type AgentConfig, readConfig } from './config.js';
import { eventTransport } from './control/events.js';
import { nestLog } from './control/nest-log.js';

/** Beyond the drain itself: what removal, rules and the store may take at the end. */
const END_MS = 30_000;
const EVENTS_WAIT_MS = 10_000;
const EVENTS_PAUSE_MS = 1000;

async function main(): Promise<void> {
  const config = readConfig();
  const log = pino({ level: config.logLevel, base: { app: 'agent', node: config.nodeId } });
  const app = await NestFactory.create<NestFastifyApplication>(
    AgentModule.with(config, log),
    new FastifyAdapter({ bodyLimit: 64 * 1024 }),
    {
      logger: nestLog(log),
      abortOnError: false,
    },
  );
  acceptAnyBody(app);
  app.connectMicroservice(eventTransport(config.redisUrl), { inheritAppConfig: true });
  endOnSignals(app, config, log);
  await app.listen(config.controlPort, config.bind);
  void subscribe(app, log);
}

/** Bodies of builds are streamed on as they are: nothing here parses them. */
function acceptAnyBody(app: NestFastifyApplication): void {
  app
    .getHttpAdapter()
    .getInstance()
    .addContentTypeParser('*', (_request, _payload, done) => done(null));
}

/** Control events only make this node faster, so it does not wait for them: Redis may be away. */
async function subscribe(app: INestApplication, log: Logger): Promise<void> {
  const { store } = app.get(Agent);
  for (;;) {
    if (!(await store.whenReady(EVENTS_WAIT_MS))) continue;
    try {
      await app.startAllMicroservices();
      return;
    } catch (error) {
      log.debug(`control events are not there yet: ${String(error)}`);
      await delay(EVENTS_PAUSE_MS);
    }
  }
}

function endOnSignals(app: INestApplication, config: AgentConfig, log: Logger): void {
  let ending = false;
  const end = (signal: string) => {
    // A terminal sends one to every process, and so may whoever started this one.
    if (ending) return;
    ending = true;
    log.info(`${signal}: draining`);
    setTimeout(() => {
      log.error('the end took too long');
      process.exit(1);
    }, config.drainTimeout + END_MS).unref();
    app.close().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, 'the end was not clean');
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
