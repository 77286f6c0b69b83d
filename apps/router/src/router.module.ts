import { type DynamicModule, Module } from '@nestjs/common';
import { ClusterController } from './control/routes/cluster.controller.js';
import { EventsController } from './control/routes/events.controller.js';
import { FunctionsController } from './control/routes/functions.controller.js';
import { GitController } from './control/routes/git.controller.js';
import { HealthController } from './control/routes/health.controller.js';
import { KeysController } from './control/routes/keys.controller.js';
import { SecretsController } from './control/routes/secrets.controller.js';
import { StreamsController } from './control/routes/streams.controller.js';

/** The one module of this process: who answers the control API. */
@Module({
  controllers: [
    FunctionsController,
    StreamsController,
    ClusterController,
    KeysController,
    GitController,
    SecretsController,
    HealthController,
    EventsController,
  ],
})
class RouterModule {}

/** @param parts ready made; controllers ask for each by its class */
export function routerModule(parts: readonly object[]): DynamicModule {
  return { module: RouterModule, providers: parts.map((part) => ({ provide: part.constructor, useValue: part })) };
}
