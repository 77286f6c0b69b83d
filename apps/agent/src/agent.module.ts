import { EventClient } from '@kiln/control/event-client';
import { connectionOptions } from '@kiln/state/store/connection-options';
import { connectStore } from '@kiln/state/store/store';
import {
  type BeforeApplicationShutdown,
  type DynamicModule,
  Inject,
  Module,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { APP_FILTER, APP_GUARD } from '@nestjs/core';
import type { Logger } from 'pino';
import { Agent } from './agent.js';
import type { AgentConfig } from './config.js';
import { EventsController } from './control/events.controller.js';
import { Events } from './control/events.js';
import { HealthController } from './control/health.controller.js';
import { MetricsController } from './control/metrics.controller.js';
import { Metrics } from './control/metrics.js';
import { NodeController } from './control/node.controller.js';
import { ProblemFilter } from './control/problem.filter.js';
import { SecretGuard } from './control/secret.guard.js';
import { LOG } from './control/tokens.js';
import { CallerCheck } from './invoke/caller-check.js';

/** The one module of this process: what is injected where, and in which order it starts and ends. */
@Module({})
export class AgentModule implements OnApplicationBootstrap, OnModuleDestroy, BeforeApplicationShutdown {
  constructor(
    @Inject(Agent) private readonly agent: Agent,
    @Inject(Events) private readonly events: Events,
  ) {}

  static with(config: AgentConfig, log: Logger): DynamicModule {
    return {
      module: AgentModule,
      controllers: [HealthController, NodeController, MetricsController, EventsController],
      providers: [
        { provide: LOG, useValue: log },
        { provide: Events, useFactory: () => new Events(new EventClient(connectionOptions(config.redisUrl), log), config.nodeId) },
        { provide: CallerCheck, useFactory: () => new CallerCheck(config.clusterSecret) },
        { provide: Agent, useFactory: (events: Events) => openAgent(config, events, log), inject: [Events] },
        {
          provide: Metrics,
          useFactory: (agent: Agent) =>
            new Metrics(
              agent.node.pools,
              () => agent.collector,
              () => agent.store.trouble?.kind,
            ),
          inject: [Agent],
        },
        { provide: APP_GUARD, useClass: SecretGuard },
        { provide: APP_FILTER, useClass: ProblemFilter },
      ],
    };
  }

  async onApplicationBootstrap(): Promise<void> {
    await this.agent.start();
  }

  /** The control API still answers while the node drains. */
  async onModuleDestroy(): Promise<void> {
    await this.agent.leave();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.agent.close();
    await this.events.close();
  }
}

function openAgent(config: AgentConfig, events: Events, log: Logger): Promise<Agent> {
  const store = connectStore(config.redisUrl, {
    onError: (error) => log.warn(`store: ${error.message}`),
    onTrouble: (trouble) => log.warn(trouble === undefined ? 'the store is well again' : `${trouble.detail}; ${trouble.fix}`),
  });
  return Agent.open(config, store, events, log);
}
