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
import { DockerImages } from './docker/images/docker-images.js';
import { DockerStock } from './docker/images/docker-stock.js';
import { NodeEngine } from './docker/node-engine.js';
import type { ImageStock } from './images/image-stock.js';
import { Images } from './images/images.js';

export interface NodeOptions {
  node: string;
  home: string;
  dockerHost: string;
  /** MB, cores */
  memory: number;
  cpus: number;
  firewallRequired: boolean;
  /** ms */
  engineTimeout: number;
  exitTimeout: number;
  slots: ClusterSlots;
  /** The other nodes; undefined where there is none. */
  elsewhere?: Elsewhere;
  secretsOf: SecretsOf;
  onLogRecord(record: LogRecord): void;
  registries: Registries;
  onTrouble(message: string): void;
  onLine(line: string): void;
}

/** What one node is made of, ready to take requests. */
export interface NodeParts {
  pools: Pools;
  images: Images;
  engine: NodeEngine;
  docker: ReturnType<typeof connectEngine>;
  registries: Registries;
  stock: ImageStock;
}

/** Puts a node together on its engine. @throws where the engine does not answer */
export async function openNode(options: NodeOptions): Promise<NodeParts> {
  const { node, slots, secretsOf, onTrouble } = options;
  const docker = connectEngine(options.dockerHost);
  const images = new Images({ engine: new DockerImages(docker, node), registries: options.registries, onLine: options.onLine, onTrouble });
  const sockets = socketRoot(options.home, node);
  const engine = await NodeEngine.open({
    docker,
    node,
    socketRoot: sockets,
    firewallRequired: options.firewallRequired,
    engineTimeout: options.engineTimeout,
    exitTimeout: options.exitTimeout,
    onTrouble,
    forget: (image) => images.forget(image),
    facts: async (image) => {
      const { entrypoint, command, workingDirectory, volumes, id } = await images.ensure(image);
      return { id, entrypoint, command, workingDirectory, volumes };
    },
  });
  const cores = new Cores();
  const gate = new Gate(availableParallelism(), cores);
  const newLog = (instance: Instance) => new InstanceLog(originOf(instance, node), options.onLogRecord);
  const starterIn = (room: RoomMaker) =>
    new InstanceStarter({ driver: engine.driver, images, secretsOf, slots, room, gate, newLog, socketRoot: sockets });
  const pools = new Pools(node, new Capacity({ memory: options.memory, cpu: options.cpus }), starterIn, options.elsewhere);
  return { pools, images, engine, docker, registries: options.registries, stock: new DockerStock(docker, node) };
}

function originOf(instance: Instance, node: string) {
  const { function: name, version } = instance.version;
  return { function: name, version, node, instance: instance.id, requestOfOutput: () => instance.requestOfOutput(performance.now()) };
}
