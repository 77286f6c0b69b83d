import { connectionBudget } from '@kiln/forward/server/descriptors';
import { endIdleConnections, limitConnections } from '@kiln/forward/server/http-server';
import { EventServer } from '@kiln/service/event-server';
import { nestLogger } from '@kiln/service/nest-logger';
import { connectionOptions } from '@kiln/state/store/connection-options';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Logger } from 'pino';
import type { RouterConfig } from './config.js';
import { createAdapter } from './control/http/fastify.js';
import { ProblemFilter } from './control/http/problem-filter.js';
import { Peers } from './invoke/request-head.js';
import { routerModule } from './router.module.js';
import type { KeyTable } from './view/key-table.js';

/** The control API and the receiver of events, not listening yet. @param parts what controllers ask for is among them */
export async function createApplication(
  { redisUrl, trustedProxies }: RouterConfig,
  keys: KeyTable,
  parts: readonly object[],
  log: Logger,
): Promise<NestFastifyApplication> {
  const app = await NestFactory.create<NestFastifyApplication>(routerModule(parts), createAdapter(keys, new Peers(trustedProxies), log), {
    logger: nestLogger(log),
    abortOnError: false,
    bodyParser: false,
  });
  app.useGlobalFilters(new ProblemFilter(log));
  app.connectMicroservice({ strategy: new EventServer(connectionOptions(redisUrl), log) });
  endIdleConnections(app.getHttpServer());
  limitConnections(app.getHttpServer(), connectionBudget().control);
  return app;
}
