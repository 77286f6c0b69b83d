import { statusOf } from '@kiln/engine/engine-error';
import type { ContainerDriver, ContainerRequest, RunningContainer } from '@kiln/instances/port/container-driver';
import { Refusal } from '@kiln/instances/port/refusal';
import { Gate } from '@kiln/instances/room/gate';
import type Dockerode from 'dockerode';
import type { AddressPool } from './address-pool.js';
import { containerName, containerOptions, type ImageFacts } from './container-options.js';
import { type EnginePatience, engineFault, noAnswer, whileAnswering } from './deadline.js';
import { DockerContainer } from './docker-container.js';
import { type EngineInfo, removeUntilGone } from './engine.js';
import { networkName } from './network.js';

/** After a failed request the driver refuses starts for so long, so that waiting calls get a response at once. */
const SILENT_MS = 3_000;
/** Addresses that one start tries. */
const ADDRESSES = 4;
const FORBIDDEN = 403;
const NOT_FOUND = 404;
/** Removals of idle containers at a time: more would slow the engine down for starts. */
const REMOVALS = 4;

export interface DriverParts {
  docker: Dockerode;
  node: string;
  info: EngineInfo;
  /** Of the node's network. */
  addresses: AddressPool;
  /** The agent's facts about an image; pulls the image where this node does not have it. */
  facts(image: string): Promise<ImageFacts>;
  /** Called where the engine has lost an image. */
  forget(image: string): void;
  patience: EnginePatience;
  /** ms to wait for the engine's event, where other signs show that a container has ended. */
  exitNewsMs: number;
  /** @throws Refusal where this node may start no instance at the moment */
  admit(): void;
  onTrouble(message: string, keys?: object): void;
}

/** Containers of a Docker engine. */
export class DockerDriver implements ContainerDriver {
  private readonly running = new Map<string, DockerContainer>();
  private readonly removals = new Gate(REMOVALS);
  private silentUntil = 0;

  constructor(private readonly parts: DriverParts) {}

  /** Whether the container belongs to this driver and is not yet removed. */
  owns(container: string): boolean {
    return this.running.has(container);
  }

  admit(): void {
    if (performance.now() < this.silentUntil) throw noAnswer('the engine did not answer a moment ago');
    this.parts.admit();
  }

  async start(request: ContainerRequest): Promise<RunningContainer> {
    this.admit();
    try {
      return await this.make(request);
    } catch (error) {
      const fault = engineFault('start the container', error);
      if (fault instanceof Refusal) this.silentUntil = performance.now() + SILENT_MS;
      throw fault;
    }
  }

  /** Tries another address where one is in use: some engines count the first of a new range as used when networks are made side by side. */
  private async make(request: ContainerRequest): Promise<RunningContainer> {
    for (let tried = 1; ; tried++) {
      try {
        return await this.makeAt(this.parts.addresses.take(), request);
      } catch (error) {
        if (tried === 1 && isImageGone(error)) {
          // Somebody has removed the image from the engine: the next try pulls it again.
          this.parts.forget(request.version.image);
          continue;
        }
        if (!isAddressTaken(error) || tried === ADDRESSES) throw error;
        this.parts.onTrouble('container address is in use, trying the next one', { instance: request.instance });
      }
    }
  }

  private async makeAt(address: string | undefined, request: ContainerRequest): Promise<RunningContainer> {
    const { docker, node, info, facts, patience, addresses, onTrouble } = this.parts;
    const name = containerName(node, request.instance);
    let container: DockerContainer | undefined;
    try {
      const image = await facts(request.version.image);
      const options = containerOptions({ ...request, ...info, node, image, network: networkName(node), address });
      const created = await whileAnswering('create a container', patience, (abortSignal) =>
        docker.createContainer({ ...options, abortSignal }),
      );
      container = this.own(created, request, address);
      await container.attach();
      await whileAnswering('start a container', patience, (abortSignal) => created.start({ abortSignal }));
      return container;
    } catch (error) {
      // The engine may still carry out a request that timed out: the name finds its container.
      const removed = container?.remove(0) ?? removeUntilGone(docker.getContainer(name), onTrouble).finally(() => addresses.give(address));
      // The next try uses the same name.
      if (isAddressTaken(error) || isImageGone(error)) await removed;
      throw error;
    }
  }

  died(id: string, code: number): void {
    this.running.get(id)?.died(code);
  }

  outOfMemory(id: string): void {
    this.running.get(id)?.sawOutOfMemory();
  }

  /** Inspects every container after a gap in the events. */
  async catchUp(): Promise<void> {
    await Promise.all([...this.running.values()].map((container) => container.check()));
  }

  private own(created: Dockerode.Container, request: ContainerRequest, address: string | undefined): DockerContainer {
    const { addresses, onTrouble, exitNewsMs } = this.parts;
    const container = new DockerContainer({
      container: created,
      request,
      address,
      removals: this.removals,
      exitNewsMs,
      onTrouble,
      onGone: () => {
        this.running.delete(created.id);
        addresses.give(address);
      },
    });
    this.running.set(created.id, container);
    return container;
  }
}

function isImageGone(error: unknown): boolean {
  return statusOf(error) === NOT_FOUND && /no such image/i.test((error as Error).message);
}

function isAddressTaken(error: unknown): boolean {
  return statusOf(error) === FORBIDDEN && /address already in use/i.test((error as Error).message);
}
