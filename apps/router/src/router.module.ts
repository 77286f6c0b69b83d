import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { KilnError } from '@kiln/contract/errors';
import { EventClient } from '@kiln/control/event-client';
import { GitServer } from '@kiln/git-push/push/git-server';
import { Pushes } from '@kiln/git-push/push/push';
import { Repositories } from '@kiln/git-push/repository/repositories';
import { checkMasterKeysAtStart } from '@kiln/secrets/check-master-keys';
import { CopyStore } from '@kiln/state/functions/copy-store';
import { FunctionStore } from '@kiln/state/functions/function-store';
import { RolloutStore } from '@kiln/state/functions/rollout-store';
import { KeyStore } from '@kiln/state/key-store';
import { LogStore } from '@kiln/state/logs/log-store';
import { NodeStore } from '@kiln/state/node-store';
import { PushTurnStore } from '@kiln/state/push-turn-store';
import { SecretStore } from '@kiln/state/secrets/secret-store';
import { connectionOptions } from '@kiln/state/store/connection-options';
import { connectStore, Store } from '@kiln/state/store/store';
import {
  type BeforeApplicationShutdown,
  type DynamicModule,
  Inject,
  Module,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleDestroy,
  type Provider,
} from '@nestjs/common';
import type { Logger } from 'pino';
import { HeldStore } from './cluster/held-store.js';
import { Keys } from './cluster/keys.js';
import type { RouterConfig } from './config.js';
import { Metrics } from './control/http/metrics.js';
import { Readiness } from './control/http/readiness.js';
import { ClusterController } from './control/routes/cluster.controller.js';
import { EventsController } from './control/routes/events.controller.js';
import { FunctionViews } from './control/routes/function-view.js';
import { FunctionsController } from './control/routes/functions.controller.js';
import { GitController } from './control/routes/git.controller.js';
import { HealthController } from './control/routes/health.controller.js';
import { KeysController } from './control/routes/keys.controller.js';
import { PinsController } from './control/routes/pins.controller.js';
import { SecretsController } from './control/routes/secrets.controller.js';
import { StoreController } from './control/routes/store.controller.js';
import { StreamsController } from './control/routes/streams.controller.js';
import { Deployments } from './deploy/deploy.js';
import { Secrets } from './deploy/set-secrets.js';
import { createDataListener, type DataListener } from './invoke/listen.js';
import { AgentsClient } from './nodes/agents-client.js';
import { Instances } from './nodes/instances.js';
import { NodeTable } from './placement/node-table.js';
import { VersionSecrets } from './secrets/secrets.js';
import { Rollouts } from './traffic/rollouts.js';
import { Announcer } from './view/announcer.js';
import { Catalog } from './view/catalog.js';
import { KeyTable } from './view/key-table.js';
import { Membership } from './view/membership.js';
import { Refresh } from './view/refresh.js';
import { RouteTable } from './view/route-table.js';

const DATA_LISTENER = Symbol('the data listener');
const CONFIG = Symbol('configuration');
const LOG = Symbol('log');

/** A store that answers is read before the first request is taken; one that is away is not waited for any longer. */
const FIRST_READ_MS = 2000;

const domain: Provider[] = [
  {
    provide: Store,
    useFactory: (config: RouterConfig, log: Logger) =>
      connectStore(config.redisUrl, {
        onError: (error) => log.warn({ err: error }, 'redis failed'),
        onTrouble: (trouble) => (trouble === undefined ? log.info('redis recovered') : log.error(trouble, 'redis unusable')),
      }),
    inject: [CONFIG, LOG],
  },
  ...[CopyStore, FunctionStore, KeyStore, LogStore, NodeStore, PushTurnStore, RolloutStore, SecretStore].map((each) => ({
    provide: each,
    useFactory: (store: Store) => new each(store),
    inject: [Store],
  })),
  { provide: RouteTable, useFactory: () => new RouteTable() },
  { provide: NodeTable, useFactory: () => new NodeTable() },
  {
    provide: EventClient,
    useFactory: ({ redisUrl }: RouterConfig, log: Logger) => new EventClient(connectionOptions(redisUrl), log),
    inject: [CONFIG, LOG],
  },
  {
    provide: Catalog,
    useFactory: (store: FunctionStore, routes: RouteTable) => new Catalog(store, routes),
    inject: [FunctionStore, RouteTable],
  },
  { provide: Membership, useFactory: (store: NodeStore, nodes: NodeTable) => new Membership(store, nodes), inject: [NodeStore, NodeTable] },
  {
    provide: Keys,
    useFactory: (store: KeyStore, table: KeyTable, events: EventClient) => new Keys(store, table, events),
    inject: [KeyStore, KeyTable, EventClient],
  },
  {
    provide: HeldStore,
    useFactory: (store: Store, copies: CopyStore, functions: FunctionStore, events: EventClient) =>
      new HeldStore({ store, copies, functions, events }),
    inject: [Store, CopyStore, FunctionStore, EventClient],
  },
  {
    provide: Refresh,
    useFactory: (functions: Catalog, nodes: Membership, keys: Keys, copy: HeldStore, log: Logger) =>
      new Refresh({ functions, nodes, keys, copy }, log),
    inject: [Catalog, Membership, Keys, HeldStore, LOG],
  },
  {
    provide: Announcer,
    useFactory: (catalog: Catalog, events: EventClient) => new Announcer(catalog, events),
    inject: [Catalog, EventClient],
  },
  { provide: AgentsClient, useFactory: (config: RouterConfig) => new AgentsClient(config.clusterSecret), inject: [CONFIG] },
  {
    provide: Instances,
    useFactory: (nodes: NodeTable, agents: AgentsClient) => new Instances(nodes, agents),
    inject: [NodeTable, AgentsClient],
  },
  {
    provide: VersionSecrets,
    useFactory: (store: SecretStore, functions: FunctionStore) => new VersionSecrets(store, functions),
    inject: [SecretStore, FunctionStore],
  },
  {
    provide: Rollouts,
    useFactory: (functions: FunctionStore, rollouts: RolloutStore, catalog: Catalog, announcer: Announcer, log: Logger) =>
      new Rollouts({ functions, rollouts, catalog, announcer, router: randomUUID(), log }),
    inject: [FunctionStore, RolloutStore, Catalog, Announcer, LOG],
  },
  {
    provide: Deployments,
    useFactory: (
      functions: FunctionStore,
      nodes: NodeTable,
      agents: AgentsClient,
      announcer: Announcer,
      secrets: VersionSecrets,
      { urlOf }: FunctionViews,
    ) => new Deployments({ functions, nodes, agents, announcer, secrets, urlOf }),
    inject: [FunctionStore, NodeTable, AgentsClient, Announcer, VersionSecrets, FunctionViews],
  },
  {
    provide: Secrets,
    useFactory: (
      store: SecretStore,
      functions: FunctionStore,
      deployments: Deployments,
      versionSecrets: VersionSecrets,
      nodes: NodeTable,
      config: RouterConfig,
    ) => new Secrets({ store, functions, deployments, versionSecrets, nodes, keys: config.masterKeys }),
    inject: [SecretStore, FunctionStore, Deployments, VersionSecrets, NodeTable, CONFIG],
  },
  {
    provide: GitServer,
    useFactory: ({ home, path }: RouterConfig, deployments: Deployments, functions: FunctionStore, turns: PushTurnStore, log: Logger) =>
      new GitServer(new Repositories(home, path), new Pushes({ deployments, functions, turns }), log),
    inject: [CONFIG, Deployments, FunctionStore, PushTurnStore, LOG],
  },
];

const control: Provider[] = [
  {
    provide: FunctionViews,
    useFactory: (nodes: NodeTable, config: RouterConfig) => new FunctionViews(nodes, config),
    inject: [NodeTable, CONFIG],
  },
  { provide: Readiness, useFactory: (catalog: Catalog, store: Store) => new Readiness(catalog, store), inject: [Catalog, Store] },
  {
    provide: Metrics,
    useFactory: (store: Store, nodes: NodeTable, routes: RouteTable) =>
      new Metrics({
        storeReady: () => store.ready,
        storeTrouble: () => store.trouble?.kind,
        liveNodes: () => nodes.live().length,
        functions: () => routes.names().length,
      }),
    inject: [Store, NodeTable, RouteTable],
  },
];

const dataListener: Provider = {
  provide: DATA_LISTENER,
  useFactory: (
    config: RouterConfig,
    routes: RouteTable,
    nodes: NodeTable,
    keys: KeyTable,
    log: Logger,
    readiness: Readiness,
    metrics: Metrics,
    catalog: Catalog,
    rollouts: Rollouts,
  ) =>
    createDataListener({
      config,
      routes: { find: (name) => (catalog.loaded ? routes.find(name) : notYet()), refreshOnMiss: () => catalog.refreshOnMiss() },
      nodes,
      keys,
      log,
      isReady: () => readiness.ready,
      onInvocation: (record) => {
        metrics.observe(record);
        rollouts.observe(record);
        log.debug(record, 'invocation');
      },
    }),
  inject: [CONFIG, RouteTable, NodeTable, KeyTable, LOG, Readiness, Metrics, Catalog, Rollouts],
};

/** Everything that makes a router, and the order in which it starts and stops. */
@Module({})
export class RouterModule implements OnApplicationBootstrap, OnModuleDestroy, BeforeApplicationShutdown, OnApplicationShutdown {
  /** Where functions are called. */
  dataPort = 0;

  constructor(
    @Inject(CONFIG) private readonly config: RouterConfig,
    @Inject(DATA_LISTENER) private readonly listener: DataListener,
    @Inject(Store) private readonly store: Store,
    @Inject(SecretStore) private readonly secrets: SecretStore,
    @Inject(LOG) private readonly log: Logger,
    @Inject(EventClient) private readonly events: EventClient,
    @Inject(Refresh) private readonly refresh: Refresh,
    @Inject(Readiness) private readonly readiness: Readiness,
    @Inject(Rollouts) private readonly rollouts: Rollouts,
  ) {}

  /** @param keys made before the module, for the guard stands before Nest's pipeline */
  static of(config: RouterConfig, keys: KeyTable, log: Logger): DynamicModule {
    const values: Provider[] = [
      { provide: CONFIG, useValue: config },
      { provide: LOG, useValue: log },
      { provide: KeyTable, useValue: keys },
    ];
    return {
      module: RouterModule,
      controllers: [
        FunctionsController,
        PinsController,
        StreamsController,
        ClusterController,
        KeysController,
        GitController,
        SecretsController,
        StoreController,
        HealthController,
        EventsController,
      ],
      providers: [...values, ...domain, ...control, dataListener],
    };
  }

  async onApplicationBootstrap(): Promise<void> {
    await this.store.whenReady(FIRST_READ_MS);
    await checkMasterKeysAtStart(this.secrets, this.config.masterKeys, (message) => this.log.warn(message));
    await this.refresh.all();
    this.refresh.start();
    this.rollouts.start();
    this.dataPort = (await this.listener.listen()).port;
  }

  onModuleDestroy(): void {
    this.readiness.beginStop();
  }

  /** The control API still answers while calls of functions end. Calls are served as ever until load balancers know. */
  async beforeApplicationShutdown(): Promise<void> {
    await delay(this.config.drainDelay);
    await this.listener.drain(this.config.drainTimeout);
  }

  async onApplicationShutdown(): Promise<void> {
    this.rollouts.stop();
    this.refresh.stop();
    this.events.close();
    await this.store.close();
  }
}

function notYet(): never {
  throw new KilnError('unavailable', 'the router has not read the functions from the store yet');
}
