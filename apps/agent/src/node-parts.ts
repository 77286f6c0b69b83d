import { availableParallelism } from 'node:os';
import type { LogRecord } from '@kiln/contract/records/records';
import { connectEngine } from '@kiln/engine/connect-engine';
import type { Instance } from '@kiln/instances/instance/instance';
import { socketRoot } from '@kiln/instances/instance/socket-root';
import { InstanceLog } from '@kiln/instances/logs/instance-log';
import { Pools } from '@kiln/instances/pool/pools';
import { Capacity } from '@kiln/instances/room/capacity';
import { Cores } from '@kiln/instances/room/cores';
import { Gate } from '@kiln/instances/room/gate';
import type { Elsewhere, RoomMaker } from '@kiln/instances/room/room-maker';
import { type ClusterSlots, InstanceStarter, type SecretsOf } from '@kiln/instances/start/start-instance';
import type { Registries } from '@kiln/registry/registries';
import type { AgentConfig } from './config.js';
import { DockerImages } from './docker/images/docker-images.js';
import { DockerStock } from './docker/images/docker-stock.js';
import { NodeEngine } from './docker/node-engine.js';
import type { ImageStock } from './images/image-stock.js';
import { Images } from './images/images.js';

/** Settings of a node that its engine and its pools need. */
export type NodeSettings = Pick<
  AgentConfig,
  'nodeId' | 'home' | 'dockerHost' | 'memory' | 'cpus' | 'firewallRequired' | 'engineTimeout' | 'exitTimeout'
>;

export interface NodeLinks {
  slots: ClusterSlots;
  /** The other nodes; undefined without a cluster. */
  elsewhere?: Elsewhere;
  secretsOf: SecretsOf;
  onLogRecord(record: LogRecord): void;
  registries: Registries;
  onTrouble(message: string, keys?: object): void;
  onLine(line: string, keys?: object): void;
}

/** The parts of one node, ready to take requests. */
export interface NodeParts {
  pools: Pools;
  images: Images;
  engine: NodeEngine;
  docker: ReturnType<typeof connectEngine>;
  registries: Registries;
  stock: ImageStock;
}

/** Composes a node on its engine. @throws where the engine does not answer */
export async function openNode(settings: NodeSettings, links: NodeLinks): Promise<NodeParts> {
  const { nodeId: node, firewallRequired, engineTimeout, exitTimeout } = settings;
  const { slots, secretsOf, registries, onLine, onTrouble } = links;
  const docker = connectEngine(settings.dockerHost);
  const images = new Images({ engine: new DockerImages(docker, node), registries, onLine, onTrouble });
  const sockets = socketRoot(settings.home, node);
  const engine = await NodeEngine.open({
    docker,
    node,
    socketRoot: sockets,
    firewallRequired,
    engineTimeout,
    exitTimeout,
    onTrouble,
    forget: (image) => images.forget(image),
    facts: (image) => images.ensure(image),
  });
  const cores = new Cores();
  const gate = new Gate(availableParallelism(), cores);
  const newLog = (instance: Instance) => new InstanceLog(originOf(instance, node), links.onLogRecord);
  const starterIn = (room: RoomMaker) =>
    new InstanceStarter({ driver: engine.driver, images, secretsOf, slots, room, gate, newLog, socketRoot: sockets });
  const pools = new Pools(node, new Capacity({ memory: settings.memory, cpu: settings.cpus }), starterIn, links.elsewhere);
  return { pools, images, engine, docker, registries, stock: new DockerStock(docker, node) };
}

function originOf(instance: Instance, node: string) {
  const { function: name, version } = instance.version;
  return { function: name, version, node, instance: instance.id, requestOfOutput: () => instance.requestOfOutput(performance.now()) };
}
