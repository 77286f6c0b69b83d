import type { ContainerDriver, ContainerRequest, RunningContainer } from '@kiln/instances/port/container-driver';
import { Refusal } from '@kiln/instances/port/refusal';
import { Gate } from '@kiln/instances/room/gate';
import type Dockerode from 'dockerode';
import { containerName, containerOptions, type ImageFacts } from './container-options.js';
import { type EnginePatience, engineFault, noAnswer, statusOf, whileAnswering } from './deadline.js';
import { DockerContainer } from './docker-container.js';
import { type EngineInfo, removeUntilGone } from './engine.js';
import type { NodeNetwork } from './network.js';

/** An engine that did not answer is not asked for new containers for so long: those who wait are told at once. */
const SILENT_MS = 3_000;
/** Addresses to try for one container. */
const ADDRESSES = 4;
const FORBIDDEN = 403;
const NOT_FOUND = 404;
/** Removals of idle containers at once: more would take the engine from those who wait for a start. */
const REMOVALS = 4;

export interface DriverParts {
  docker: Dockerode;
  node: string;
  info: EngineInfo;
  network: NodeNetwork;
  /** What is known of an image that is on this node. */
  facts(image: string): Promise<ImageFacts>;
  /** The engine turned out not to have it any more. */
  forget(image: string): void;
  patience: EnginePatience;
  /** ms in which the engine tells of an end of which there are other signs. */
  exitNewsMs: number;
  /** @throws Refusal where this node may start no instance at the moment */
  admit(): void;
  onTrouble(message: string): void;
}

/** Containers of a Docker engine. */
export class DockerDriver implements ContainerDriver {
  private readonly running = new Map<string, DockerContainer>();
  private readonly removals = new Gate(REMOVALS);
  private silentUntil = 0;

  constructor(private readonly parts: DriverParts) {}

  /** Containers that are ours and not yet confirmed gone. */
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

  /**
   * With another address where the engine has given ours away. It has been seen to count the first of a fresh range as used when
   * several networks are made at once; what is given back is the last to be handed out again.
   */
  private async make(request: ContainerRequest): Promise<RunningContainer> {
    for (let tried = 1; ; tried++) {
      try {
        return await this.makeAt(this.parts.network.takeAddress(), request);
      } catch (error) {
        if (tried === 1 && isImageGone(error)) {
          // Somebody cleaned up: it is fetched once more where that is possible.
          this.parts.forget(request.version.image);
          continue;
        }
        if (!isAddressTaken(error) || tried === ADDRESSES) throw error;
        this.parts.onTrouble(`the engine says that an address of this node is in use; trying the next for ${request.instance}`);
      }
    }
  }

  private async makeAt(address: string | undefined, request: ContainerRequest): Promise<RunningContainer> {
    const { docker, node, patience } = this.parts;
    const name = containerName(node, request.instance);
    let container: DockerContainer | undefined;
    try {
      const options = await this.options(request, address);
      const created = await whileAnswering('create a container', patience, (abortSignal) =>
        docker.createContainer({ ...options, abortSignal }),
      );
      container = this.own(created, request, address);
      await container.attach();
      await whileAnswering('start a container', patience, (abortSignal) => created.start({ abortSignal }));
      return container;
    } catch (error) {
      // A call that timed out may still be carried out: the name finds what came of it.
      const removed = container?.remove(0) ?? this.removeByName(name).finally(() => this.parts.network.giveAddress(address));
      // The next try has the same name.
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

  /** After a gap in the events: whoever ended meanwhile is told so. */
  async catchUp(): Promise<void> {
    await Promise.all([...this.running.values()].map((container) => container.look()));
  }

  private own(created: Dockerode.Container, request: ContainerRequest, address: string | undefined): DockerContainer {
    const { network, onTrouble, exitNewsMs } = this.parts;
    const container = new DockerContainer({
      container: created,
      request,
      address,
      removals: this.removals,
      exitNewsMs,
      onTrouble,
      onGone: () => {
        this.running.delete(created.id);
        network.giveAddress(address);
      },
    });
    this.running.set(created.id, container);
    return container;
  }

  private async options(request: ContainerRequest, address: string | undefined) {
    const { node, network, info } = this.parts;
    return containerOptions({
      node,
      instance: request.instance,
      version: request.version,
      secrets: request.secrets,
      image: await this.parts.facts(request.version.image),
      network: network.name,
      ...(address !== undefined && { address }),
      ...(request.socketFolder !== undefined && { socketFolder: request.socketFolder }),
      ...info,
    });
  }

  private async removeByName(name: string): Promise<void> {
    const container = this.parts.docker.getContainer(name);
    await removeUntilGone(container, this.parts.onTrouble);
  }
}

function isImageGone(error: unknown): boolean {
  return statusOf(error) === NOT_FOUND && /no such image/i.test((error as Error).message);
}

function isAddressTaken(error: unknown): boolean {
  return statusOf(error) === FORBIDDEN && /address already in use/i.test((error as Error).message);
}
