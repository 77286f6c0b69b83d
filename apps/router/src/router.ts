import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { collectGarbage } from '@kiln/forward/bytes/passing-bytes';
import { GitServer } from '@kiln/git-push/push/git-server';
import { Pushes } from '@kiln/git-push/push/push';
import { Repositories } from '@kiln/git-push/repository/repositories';
import { checkMasterKeysAtStart } from '@kiln/secrets/check-master-keys';
import { EventClient } from '@kiln/service/event-client';
import { DeploymentStore } from '@kiln/state/deployments/deployment-store';
import { CopyStore } from '@kiln/state/functions/copy-store';
import { FunctionStore } from '@kiln/state/functions/function-store';
import { RolloutStore } from '@kiln/state/functions/rollout-store';
import { KeyStore } from '@kiln/state/key-store';
import { LogStore } from '@kiln/state/logs/log-store';
import { NodeStore } from '@kiln/state/node-store';
import { PushTurnStore } from '@kiln/state/push-turn-store';
import { SecretStore } from '@kiln/state/secrets/secret-store';
import { connectionOptions } from '@kiln/state/store/connection-options';
import { connectStore } from '@kiln/state/store/store';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Logger } from 'pino';
import { AgentsClient } from './agents/agents-client.js';
import { createApplication } from './application.js';
import { adminKey, Keys } from './cluster/api-keys.js';
import { HeldStore } from './cluster/held-store.js';
import type { RouterConfig } from './config.js';
import { Metrics } from './control/http/metrics.js';
import { FunctionViews } from './control/routes/function-view.js';
import { Deployments } from './deploy/deploy.js';
import { OwnDeployments } from './deploy/deployment.js';
import { LostDeployments } from './deploy/lost-deployments.js';
import { Secrets } from './deploy/set-secrets.js';
import type { InvocationRecord } from './invoke/invocation.js';
import { DataListener } from './invoke/listen.js';
import { RouterLifecycle } from './lifecycle.js';
import { NodeTable } from './placement/node-table.js';
import { VersionSecrets } from './secrets/secrets.js';
import { Rollouts } from './traffic/rollouts.js';
import { Announcer } from './view/announcer.js';
import { Catalog } from './view/catalog.js';
import { KeyTable } from './view/key-table.js';
import { Membership } from './view/membership.js';
import { Refresh } from './view/refresh.js';
import { RouteTable } from './view/route-table.js';

/** A store that answers is read before the first request is taken; one that is away is not waited for any longer. */
const FIRST_READ_MS = 2000;
/** Beyond the drain timeout, for what comes before and after the drain. */
const STOP_MARGIN_MS = 5000;

export interface Router {
  dataUrl: string;
  controlUrl: string;
  /** Says that it is not ready, after the drain delay takes nothing new, finishes what runs within the drain timeout, and lets go of everything. */
  stop(): Promise<void>;
}

/** Starts both listeners, whether or not Redis is there. In the order written here. */
export async function startRouter(config: RouterConfig, log: Logger): Promise<Router> {
  const lifecycle = new RouterLifecycle();
  const stores = openStores(config, log);
  const events = new EventClient(connectionOptions(config.redisUrl), log);
  const view = newView(config, stores, events, lifecycle, log);
  const work = newWork(config, stores, view, log);
  const listener = new DataListener({
    ...view,
    keys: view.keyTable,
    config,
    log,
    observers: work.observers,
    refreshOnMiss: view.catalog.refreshOnMiss,
    refreshNodes: view.membership.refreshOnMiss,
    isReady: () => lifecycle.isReady,
  });
  const parts = [stores, view, work].flatMap((some): object[] => Object.values(some));
  const app = await createApplication(config, view.keyTable, [lifecycle, ...parts], log);
  const running = { config, lifecycle, stores, events, view, work, listener, app };
  let stopped: Promise<void> | undefined;
  try {
    await app.startAllMicroservices();
    await stores.store.whenReady(FIRST_READ_MS);
    await checkMasterKeysAtStart(stores.secrets, config.masterKeys, (message) => log.warn(message));
    await view.refresh.all();
    // Else V8 collects what the start left while a call waits: up to 7 ms, with 10,000 functions.
    collectGarbage();
    view.refresh.start();
    work.rollouts.start();
    work.lost.start();
    const data = await listener.listen();
    await app.listen(config.controlPort, config.bind);
    const control = app.getHttpServer().address() as AddressInfo;
    const url = ({ port }: { port: number }) => `http://${config.bind.includes(':') ? `[${config.bind}]` : config.bind}:${port}`;
    return { dataUrl: url(data), controlUrl: url(control), stop: () => (stopped ??= stop(running)) };
  } catch (error) {
    await stop(running);
    throw error;
  }
}

/** The control API still answers while calls of functions end. Calls are served as ever until load balancers know. */
async function stop({ config, lifecycle, stores, events, view, work, listener, app }: Parts): Promise<void> {
  const { drainDelay, drainTimeout } = config;
  // Uploads and readers of logs that are still there when the bound has passed are cut off.
  const timer = setTimeout(() => app.getHttpServer().closeAllConnections(), drainDelay + drainTimeout + STOP_MARGIN_MS);
  lifecycle.move('draining');
  await delay(drainDelay);
  await listener.drain(drainTimeout);
  await app.close();
  work.rollouts.stop();
  work.lost.stop();
  view.refresh.stop();
  events.close();
  await stores.store.close();
  clearTimeout(timer);
  lifecycle.move('gone');
}

function openStores({ redisUrl }: RouterConfig, log: Logger) {
  const store = connectStore(redisUrl, {
    onError: (error) => log.warn({ err: error }, 'redis failed'),
    onTrouble: (trouble) => (trouble === undefined ? log.info('redis recovered') : log.error(trouble, 'redis unusable')),
  });
  return {
    store,
    copies: new CopyStore(store),
    deployments: new DeploymentStore(store),
    functions: new FunctionStore(store),
    keys: new KeyStore(store),
    logs: new LogStore(store),
    nodes: new NodeStore(store),
    turns: new PushTurnStore(store),
    rollouts: new RolloutStore(store),
    secrets: new SecretStore(store),
  };
}

/** What the router knows, and what keeps that near to what is stored. */
function newView(config: RouterConfig, stores: Stores, events: EventClient, lifecycle: RouterLifecycle, log: Logger) {
  const { store, copies, functions } = stores;
  const keyTable = new KeyTable(config.adminKey === undefined ? [] : [adminKey(config.adminKey)]);
  const routes = new RouteTable();
  const nodes = new NodeTable();
  const catalog = new Catalog(functions, routes, () => {
    if (lifecycle.can('serving')) lifecycle.move('serving');
  });
  const membership = new Membership(stores.nodes, nodes);
  const keys = new Keys(stores.keys, keyTable, events);
  const held = new HeldStore({ store, copies, functions, events });
  const refresh = new Refresh({ functions: catalog, nodes: membership, keys, copy: held }, log);
  const announcer = new Announcer(catalog, events);
  return { keyTable, routes, nodes, catalog, membership, keys, held, refresh, announcer };
}

/** What it does for those who deploy. */
function newWork(config: RouterConfig, stores: Stores, { nodes, routes, catalog, announcer }: View, log: Logger) {
  const { store, functions, rollouts: rolloutStore, turns } = stores;
  const agents = new AgentsClient(config.clusterSecret);
  const views = new FunctionViews(nodes, config);
  const versionSecrets = new VersionSecrets(stores.secrets, functions);
  const own = new OwnDeployments(stores.deployments);
  const made = { functions, nodes, agents, announcer, secrets: versionSecrets, urlOf: views.urlOf, deployments: own, catalog };
  const deployments = new Deployments(made);
  const keys = config.masterKeys;
  const metrics = new Metrics(store, nodes, routes);
  const debug = (record: InvocationRecord) => log.debug(record, 'invocation');
  /** Called for each request to a function, once it is over. */
  const observers = new Set([metrics.observe, ...(log.isLevelEnabled('debug') ? [debug] : [])]);
  return {
    agents,
    views,
    versionSecrets,
    deployments,
    lost: new LostDeployments({ ...made, log }),
    secrets: new Secrets({ store: stores.secrets, functions, deployments, versionSecrets, nodes, keys }),
    rollouts: new Rollouts({ functions, rollouts: rolloutStore, catalog, announcer, observers, router: randomUUID(), log }),
    git: new GitServer(new Repositories(config.home, config.path), new Pushes({ deployments, functions, turns }), log),
    metrics,
    observers,
  };
}

type Stores = ReturnType<typeof openStores>;
type View = ReturnType<typeof newView>;
type Work = ReturnType<typeof newWork>;

interface Parts {
  config: RouterConfig;
  lifecycle: RouterLifecycle;
  stores: Stores;
  events: EventClient;
  view: View;
  work: Work;
  listener: DataListener;
  app: NestFastifyApplication;
}
