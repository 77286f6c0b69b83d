import 'reflect-metadata';
import { setTimeout as delay } from 'node:timers/promises';
import { endIdleConnections } from '@kiln/forward/end-idle';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Logger } from 'pino';
import { Agent } from '../agent.js';
import { AgentModule } from '../agent.module.js';
import type { AgentConfig } from '../config.js';
import { EventServer } from './events.js';
import { nestLog } from './nest-log.js';

const EVENTS_WAIT_MS = 10_000;
const EVENTS_PAUSE_MS = 1000;
const MAX_BODY = 64 * 1024;

/** The whole process, up and serving when this resolves. @throws where the engine does not answer or a port is taken */
export async function startApplication(config: AgentConfig, log: Logger): Promise<NestFastifyApplication> {
  const app = await NestFactory.create<NestFastifyApplication>(AgentModule.with(config, log), new FastifyAdapter({ bodyLimit: MAX_BODY }), {
    logger: nestLog(log),
    abortOnError: false,
  });
  acceptAnyBody(app);
  app.connectMicroservice({ strategy: new EventServer(config.redisUrl) }, { inheritAppConfig: true });
  endIdleConnections(app.getHttpServer());
  await app.listen(config.controlPort, config.bind);
  void subscribe(app, log);
  return app;
}

/** Bodies of builds are streamed on as they are: nothing here parses them. */
function acceptAnyBody(app: NestFastifyApplication): void {
  app
    .getHttpAdapter()
    .getInstance()
    .addContentTypeParser('*', (_request, _payload, done) => done(null));
}

/** Control events only make this node faster, so nobody waits for them: Redis may be away. */
async function subscribe(app: NestFastifyApplication, log: Logger): Promise<void> {
  const { store, closed } = app.get(Agent);
  while (!closed()) {
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
