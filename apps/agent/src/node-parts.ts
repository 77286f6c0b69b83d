import { availableParallelism } from 'node:os';
import { connectEngine } from '@kiln/builder/connect-engine';
import type { LogRecord } from '@kiln/contract/records';
import type { Registries } from '@kiln/registry/registries';
import { DockerImages } from './docker/docker-images.js';
import { DockerStock } from './docker/docker-stock.js';
import { NodeEngine } from './docker/node-engine.js';
import type { ImageStock } from './images/image-stock.js';
import { Images } from './images/images.js';
import { InstanceLog } from './logs/instance-log.js';
import { Capacity } from './pool/capacity.js';
import { Cores } from './pool/cores.js';
import { Gate } from './pool/gate.js';
import type { Instance } from './pool/instance.js';
import { Pools } from './pool/pools.js';
import type { Elsewhere } from './pool/room-maker.js';
import { socketRoot } from './pool/socket-root.js';
import { type ClusterSlots, InstanceStarter, type SecretsOf } from './pool/start-instance.js';

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
  const pools = new Pools(node, new Capacity({ memory: options.memory, cpu: options.cpus }), options.elsewhere);
  const cores = new Cores();
  const gate = new Gate(availableParallelism(), cores);
  const newLog = (instance: Instance) => new InstanceLog(originOf(instance, node), options.onLogRecord);
  pools.startWith(
    new InstanceStarter({ driver: engine.driver, images, secretsOf, slots, room: pools.room, gate, newLog, socketRoot: sockets }),
  );
  return { pools, images, engine, docker, registries: options.registries, stock: new DockerStock(docker, node) };
}

function originOf(instance: Instance, node: string) {
  const { function: name, version } = instance.version;
  return { function: name, version, node, instance: instance.id, requestOfOutput: () => instance.requestOfOutput(performance.now()) };
}
