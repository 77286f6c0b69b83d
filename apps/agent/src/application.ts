import 'reflect-metadata';
import { connectionBudget } from '@kiln/forward/server/descriptors';
import { endIdleConnections, limitConnections } from '@kiln/forward/server/http-server';
import { EventServer } from '@kiln/service/event-server';
import { nestLogger } from '@kiln/service/nest-logger';
import { connectionOptions } from '@kiln/state/store/connection-options';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Logger } from 'pino';
import { AgentModule } from './agent.module.js';
import type { AgentConfig } from './config.js';

const MAX_BODY = 64 * 1024;
/** A connection waits no longer for the head of a request. */
const HEAD_BOUNDS = { headersTimeout: 10_000, connectionsCheckingInterval: 1000 };

/** The whole process, up and serving when this resolves. @throws where the engine does not answer or a port is taken */
export async function startApplication(config: AgentConfig, log: Logger): Promise<NestFastifyApplication> {
  const app = await NestFactory.create<NestFastifyApplication>(
    AgentModule.with(config, log),
    new FastifyAdapter({ bodyLimit: MAX_BODY, http: HEAD_BOUNDS }),
    {
      logger: nestLogger(log),
      abortOnError: false,
    },
  );
  acceptAnyBody(app);
  app.connectMicroservice({ strategy: new EventServer(connectionOptions(config.redisUrl), log) }, { inheritAppConfig: true });
  endIdleConnections(app.getHttpServer());
  limitConnections(app.getHttpServer(), connectionBudget().control);
  await app.startAllMicroservices();
  await app.listen(config.controlPort, config.bind);
  return app;
}

/** Passes bodies of builds on as streams, without parsing them. */
function acceptAnyBody(app: NestFastifyApplication): void {
  app
    .getHttpAdapter()
    .getInstance()
    .addContentTypeParser('*', (_request, _payload, done) => done(null));
}
