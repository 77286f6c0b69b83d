import { EventClient } from '@kiln/service/event-client';
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
import { NodeEvents } from './control/http/events.js';
import { NodeMetrics } from './control/http/metrics.js';
import { NodeProblemFilter } from './control/http/problem-filter.js';
import { SecretGuard } from './control/http/secret-guard.js';
import { LOG } from './control/http/tokens.js';
import { NodeEventsController } from './control/routes/events.controller.js';
import { NodeHealthController } from './control/routes/health.controller.js';
import { MetricsController } from './control/routes/metrics.controller.js';
import { NodeController } from './control/routes/node.controller.js';
import { CallerCheck } from './invoke/router-call.js';

/** The one module of this process: what is injected where, and in which order it starts and ends. */
@Module({})
export class AgentModule implements OnApplicationBootstrap, OnModuleDestroy, BeforeApplicationShutdown {
  constructor(
    @Inject(Agent) private readonly agent: Agent,
    @Inject(NodeEvents) private readonly events: NodeEvents,
  ) {}

  static with(config: AgentConfig, log: Logger): DynamicModule {
    return {
      module: AgentModule,
      controllers: [NodeHealthController, NodeController, MetricsController, NodeEventsController],
      providers: [
        { provide: LOG, useValue: log },
        { provide: NodeEvents, useFactory: () => new NodeEvents(new EventClient(connectionOptions(config.redisUrl), log), config.nodeId) },
        { provide: CallerCheck, useFactory: () => new CallerCheck(config.clusterSecret) },
        { provide: Agent, useFactory: (events: NodeEvents) => openAgent(config, events, log), inject: [NodeEvents] },
        {
          provide: NodeMetrics,
          useFactory: (agent: Agent) =>
            new NodeMetrics(
              agent.node.pools,
              () => agent.collector,
              () => agent.store.trouble?.kind,
            ),
          inject: [Agent],
        },
        { provide: APP_GUARD, useClass: SecretGuard },
        { provide: APP_FILTER, useClass: NodeProblemFilter },
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

function openAgent(config: AgentConfig, events: NodeEvents, log: Logger): Promise<Agent> {
  const store = connectStore(config.redisUrl, {
    onError: (error) => log.warn({ err: error }, 'redis failed'),
    onTrouble: (trouble) => (trouble === undefined ? log.info('redis recovered') : log.error(trouble, 'redis unusable')),
  });
  return Agent.open(config, store, events, log);
}
