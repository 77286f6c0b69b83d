import type { AddressInfo } from 'node:net';
import { EventServer } from '@kiln/control/event-server';
import { NestLogger } from '@kiln/control/nest-logger';
import { endIdleConnections, limitConnections } from '@kiln/forward/server/connections';
import { connectionBudget } from '@kiln/forward/server/descriptors';
import { connectionOptions } from '@kiln/state/store/connection-options';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Logger } from 'pino';
import { adminKey } from './cluster/keys.js';
import type { RouterConfig } from './config.js';
import { createAdapter } from './control/http/fastify.js';
import { ProblemFilter } from './control/http/problem-filter.js';
import { Peers } from './invoke/request/peers.js';
import { RouterModule } from './router.module.js';
import { KeyTable } from './view/key-table.js';

export interface Router {
  dataUrl: string;
  controlUrl: string;
  /** Says that it is not ready, after the drain delay takes nothing new, finishes what runs within the drain timeout, and lets go of everything. */
  stop(): Promise<void>;
}

/** Beyond the drain timeout, for what comes before and after the drain. */
const STOP_MARGIN_MS = 5000;

/** Starts both listeners, whether or not Redis is there. */
export async function startRouter(config: RouterConfig, log: Logger): Promise<Router> {
  const keys = new KeyTable(config.adminKey === undefined ? [] : [adminKey(config.adminKey)]);
  const app = await NestFactory.create<NestFastifyApplication>(
    RouterModule.of(config, keys, log),
    createAdapter(keys, new Peers(config.trustedProxies), log),
    {
      logger: new NestLogger(log),
      abortOnError: false,
      bodyParser: false,
    },
  );
  app.useGlobalFilters(new ProblemFilter(log));
  app.connectMicroservice({ strategy: new EventServer(connectionOptions(config.redisUrl), log) });
  endIdleConnections(app.getHttpServer());
  limitConnections(app.getHttpServer(), connectionBudget().control);
  try {
    await app.startAllMicroservices();
    await app.listen(config.controlPort, config.bind);
  } catch (error) {
    await app.close();
    throw error;
  }
  const { port: control } = app.getHttpServer().address() as AddressInfo;
  const url = (port: number) => `http://${config.bind.includes(':') ? `[${config.bind}]` : config.bind}:${port}`;
  return { dataUrl: url(app.get(RouterModule).dataPort), controlUrl: url(control), stop: () => stop(app, config) };
}

/** Uploads and readers of logs that are still there when the bound has passed are cut off. */
async function stop(app: NestFastifyApplication, { drainDelay, drainTimeout }: RouterConfig): Promise<void> {
  const timer = setTimeout(() => app.getHttpServer().closeAllConnections(), drainDelay + drainTimeout + STOP_MARGIN_MS);
  await app.close();
  clearTimeout(timer);
}
