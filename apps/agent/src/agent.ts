import { join } from 'node:path';
import { EnvironmentError } from '@kiln/contract/config/environment';
import type { KilnError } from '@kiln/contract/errors';
import type { NodeRecord } from '@kiln/contract/records/records';
import { Registries } from '@kiln/registry/registries';
import { checkMasterKeysAtStart } from '@kiln/secrets/check-master-keys';
import { keyIds } from '@kiln/secrets/master-key';
import { FunctionStore } from '@kiln/state/functions/function-store';
import { LogStore } from '@kiln/state/logs/log-store';
import { NodeStore } from '@kiln/state/node-store';
import { SecretStore } from '@kiln/state/secrets/secret-store';
import { SlotStore } from '@kiln/state/slot-store';
import type { Store } from '@kiln/state/store/store';
import type { Logger } from 'pino';
import { keepBuilt } from './builds/keep-built.js';
import { type Builder, Builds } from './builds/run-build.js';
import type { AgentConfig } from './config.js';
import { buildOnEngine } from './docker/build-on-engine.js';
import { networkName } from './docker/network.js';
import type { ImageCollector } from './images/collect-images.js';
import { lostImages } from './images/lost-images.js';
import { NodeListener } from './invoke/listen.js';
import { LogShipper } from './logs/log-shipper.js';
import { NodeDrain } from './node/drain.js';
import { Heartbeat } from './node/heartbeat.js';
import { NodeLifecycle } from './node/lifecycle.js';
import { type NodeParts, openNode } from './node-parts.js';
import { openCollector } from './open-collector.js';
import { askNode } from './reconcile/ask-node.js';
import { Homes } from './reconcile/homes.js';
import { Neighbours } from './reconcile/neighbours.js';
import { ProtectedAddresses } from './reconcile/protected-addresses.js';
import { Reconciler } from './reconcile/reconcile.js';
import { SecretValues } from './reconcile/secret-values.js';
import { StoredSlots } from './reconcile/slots.js';
import { type Successor, startSuccessor } from './reconcile/start-successor.js';
import { VersionTable } from './reconcile/version-table.js';

const LAST_LOGS_MS = 2000;
const FIRST_READ_MS = 2000;

/** Tells routers and other nodes to refresh. Never throws and never waits: they also refresh by the clock. */
export interface Announce {
  functionChanged(name: string): void;
  nodeChanged(): void;
}

/** One node's agent, composed by hand. Starts and ends in the order written here. */
export class Agent {
  readonly lifecycle = new NodeLifecycle();
  readonly heartbeat: Heartbeat;
  readonly reconciler: Reconciler;
  readonly builds: Builds;
  readonly listener: NodeListener;
  private readonly nodes: NodeStore;
  private readonly drainer: NodeDrain;
  private readonly homes: Homes;
  private readonly versions: VersionTable;
  private readonly functions: FunctionStore;
  private readonly addresses = new ProtectedAddresses();
  collector: ImageCollector | undefined;
  private alive: ReadonlySet<string> = new Set();
  listening = false;

  private constructor(
    readonly config: AgentConfig,
    readonly store: Store,
    readonly node: NodeParts,
    private readonly logs: LogShipper,
    slots: StoredSlots,
    private readonly neighbours: Neighbours,
    secrets: SecretValues,
    private readonly announce: Announce,
    private readonly log: Logger,
  ) {
    const { pools } = node;
    this.nodes = new NodeStore(store);
    const functions = new FunctionStore(store);
    this.functions = functions;
    this.homes = new Homes(config.nodeId);
    this.versions = new VersionTable(() => functions.listAll());
    const { lifecycle, versions, homes, onFault } = this;
    const { bind: host, dataPort: port, clusterSecret: secret } = config;
    this.listener = new NodeListener({ host, port, secret, pools, lifecycle, versions, onFault });
    this.builds = new Builds(this.newBuilder(), buildsFolder(config), this.onFault);
    this.reconciler = new Reconciler({
      node: config.nodeId,
      pools,
      table: versions,
      homes,
      secrets,
      readNodes: async () => this.onNodes(await this.nodes.list()),
      storeInTrouble: () => store.trouble !== undefined,
      ensureImage: (image) => node.images.ensure(image),
      markReady: (name, version) => functions.markReady(name, version),
      markFailed: (name, version, failure) => functions.markFailed(name, version, failure),
      noteRefusal: (name, version, refusal) => functions.noteRefusal(name, version, { node: config.nodeId, ...refusal }),
      withdraw: (name, version) => functions.withdraw(name, version),
      announce: (name) => announce.functionChanged(name),
      onTrouble: this.onTrouble,
    });
    this.heartbeat = this.newHeartbeat(slots);
    this.drainer = this.newDrain();
  }

  /** @throws where the engine does not answer, or the master key is not the cluster's. The store may be away. */
  static async open(config: AgentConfig, store: Store, announce: Announce, log: Logger): Promise<Agent> {
    const stored = new SecretStore(store);
    await store.whenReady(FIRST_READ_MS);
    await checkMasterKeysAtStart(stored, config.masterKeys, (message) => log.warn(message));
    const neighbours = new Neighbours(config.nodeId, (record) => askNode(record, config.clusterSecret));
    const secrets = new SecretValues(stored, config.masterKeys, () => neighbours.none);
    const slots = new StoredSlots(new SlotStore(store), config.nodeId, (nodes) => neighbours.anyTakes(nodes));
    const logs = new LogShipper(new LogStore(store), (dropped) =>
      log.warn({ records: dropped }, 'log records dropped: the store did not answer'),
    );
    const registries = new Registries(config.registryAuth);
    await checkLogins(registries);
    const node = await openNode(config, {
      slots,
      elsewhere: neighbours,
      secretsOf: secrets.of,
      onLogRecord: logs.add,
      registries,
      onTrouble: (message, keys) => log.warn(keys ?? {}, message),
      onLine: (line, keys) => log.info(keys ?? {}, line),
    });
    return new Agent(config, store, node, logs, slots, neighbours, secrets, announce, log);
  }

  async start(): Promise<void> {
    const collector = openCollector(this.config, this.node, {
      versions: () => this.functions.needs(),
      mayRemove: (name) => this.homes.isHome(name) && !this.builds.isBuilding(name),
      onLine: (line, keys) => this.log.info(keys ?? {}, line),
      onTrouble: this.onTrouble,
    });
    this.collector = collector;
    this.node.images.makeRoom = () => collector.makeRoom();
    const { port } = await this.listener.listen();
    this.listening = true;
    this.reconciler.start();
    this.heartbeat.start();
    collector.start();
    this.log.info({ node: this.config.nodeId, port, warnings: this.node.engine.warnings }, 'node started');
  }

  /** Takes no new work and finishes running requests; the process continues. */
  drain(): Promise<void> {
    return this.drainer.drain();
  }

  /** Cancels a drain. @throws KilnError `conflict` where the node leaves */
  async resume(): Promise<void> {
    await this.drainer.resume();
    this.reconciler.kick();
  }

  /** Leaves the cluster and finishes running requests. */
  async leave(): Promise<void> {
    await this.reconciler.stop();
    await this.collector?.stop();
    await this.drainer.leave();
  }

  /** Removes everything of this node from the engine and the host. */
  async close(): Promise<void> {
    await this.listener.close();
    await this.node.engine.close();
    await this.logs.close(LAST_LOGS_MS);
    await this.store.close();
  }

  /** A version is about to get the traffic of others. @throws KilnError */
  startSuccessor(successor: Successor): Promise<{ wanted: number; ready: number }> {
    return startSuccessor(this.node.pools, this.versions, successor);
  }

  status(): NodeRecord {
    return this.heartbeat.record();
  }

  private newBuilder(): Builder {
    const { docker, registries, images } = this.node;
    const { nodeId, buildLimits: limits, registry: prefix } = this.config;
    const builder = buildOnEngine({
      docker,
      nodeId,
      limits,
      workspaces: buildsFolder(this.config),
      // The steps of a build are a user's code, too: they get the network and the firewall rules of the instances.
      network: networkName(nodeId),
      registries,
      registry: prefix === undefined ? undefined : { prefix, registries },
    });
    return keepBuilt(builder, {
      keep: (image) => images.keep(image),
      makeRoom: async () => this.collector?.makeRoom(),
      wantRoom: () => this.collector?.wake(),
    });
  }

  private get warnings(): string[] {
    const others = [this.collector?.warning, this.store.trouble?.detail];
    return [
      ...this.node.engine.warnings,
      ...lostImages(this.node.images.lost, this.versions.all),
      ...others.filter((warning) => warning !== undefined),
    ];
  }

  private newHeartbeat(slots: StoredSlots): Heartbeat {
    const { advertiseHost, dataPort, controlPort, weight, masterKeys } = this.config;
    return new Heartbeat({
      lifecycle: this.lifecycle,
      pools: this.node.pools,
      warnings: () => this.warnings,
      fixed: {
        dataUrl: `http://${advertiseHost}:${dataPort}`,
        controlUrl: `http://${advertiseHost}:${controlPort}`,
        weight,
        masterKeys: keyIds(masterKeys),
      },
      send: (record) => this.nodes.heartbeat(record),
      sent: () => slots.sync(this.alive),
      joined: () => this.announce.nodeChanged(),
    });
  }

  private async onNodes(nodes: readonly (NodeRecord & { alive: boolean })[]): Promise<void> {
    this.homes.update(nodes);
    this.neighbours.update(nodes);
    this.alive = new Set(nodes.filter(({ alive }) => alive).map(({ id }) => id));
    const urls = [...nodes.flatMap(({ dataUrl, controlUrl }) => [dataUrl, controlUrl]), this.config.redisUrl];
    // Nothing waits for a name server; the next refresh corrects what fails now.
    this.addresses.of(urls).then((addresses) => this.node.engine.firewall.protect(addresses), this.onFault);
  }

  private newDrain(): NodeDrain {
    return new NodeDrain({
      lifecycle: this.lifecycle,
      heartbeat: this.heartbeat,
      listener: this.listener,
      pools: this.node.pools,
      announce: () => this.announce.nodeChanged(),
      timeoutMs: this.config.drainTimeout,
      leaveTable: () => this.nodes.leave(this.config.nodeId),
      onTrouble: this.onTrouble,
    });
  }

  private readonly onTrouble = (message: string, keys?: object): void => this.log.warn(keys ?? {}, message);

  private readonly onFault = (error: unknown): void => this.log.error({ err: error }, 'internal error');
}

/** Reports an unusable file of logins at the start, not with the first pull. */
async function checkLogins({ logins }: Registries): Promise<void> {
  await logins.stored().catch((error: KilnError) => {
    throw new EnvironmentError(`KILN_REGISTRY_AUTH: ${error.message}${error.fix === undefined ? '' : `; ${error.fix}`}`);
  });
}

/** Folder of sources while they are built. */
function buildsFolder({ home }: AgentConfig): string {
  return join(home, 'builds');
}
