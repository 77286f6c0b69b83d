import { setTimeout as delay } from 'node:timers/promises';
import type Dockerode from 'dockerode';
import type { ContainerDriver, ContainerRequest, Exit, RunningContainer } from '../pool/container-driver.js';
import { Gate } from '../pool/gate.js';
import { Refusal } from '../pool/refusal.js';
import { containerName, containerOptions, type ImageFacts } from './container-options.js';
import { engineFault, noAnswer, statusOf, within } from './deadline.js';
import { type EngineInfo, removeUntilGone } from './engine.js';
import { attachOutput, type Output } from './instance-logs.js';
import type { NodeNetwork } from './network.js';

const CREATE_MS = 15_000;
const START_MS = 15_000;
/** An engine that did not answer is not asked for new containers for so long: those who wait are told at once. */
const SILENT_MS = 3_000;
const KILL_MS = 5_000;
const INSPECT_MS = 2_000;
/** After the end of a process, for what it wrote last and for the kernel's word on memory. */
const LAST_OUTPUT_MS = 200;
/** Addresses to try for one container. */
const ADDRESSES = 4;
const FORBIDDEN = 403;
/** Removals of idle containers at once: more would take the engine from those who wait for a start. */
const REMOVALS = 4;

export interface DriverParts {
  docker: Dockerode;
  node: string;
  info: EngineInfo;
  network: NodeNetwork;
  /** What is known of an image that is on this node. */
  facts(image: string): Promise<ImageFacts>;
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
        if (!isAddressTaken(error) || tried === ADDRESSES) throw error;
        this.parts.onTrouble(`the engine says that an address of this node is in use; trying the next for ${request.instance}`);
      }
    }
  }

  private async makeAt(address: string | undefined, request: ContainerRequest): Promise<RunningContainer> {
    const { docker, node } = this.parts;
    const name = containerName(node, request.instance);
    let container: DockerContainer | undefined;
    try {
      const options = await this.options(request, address);
      const created = await within('create a container', CREATE_MS, (abortSignal) => docker.createContainer({ ...options, abortSignal }));
      container = this.own(created, request, address);
      await container.attach();
      await within('start a container', START_MS, (abortSignal) => created.start({ abortSignal }));
      return container;
    } catch (error) {
      // A call that timed out may still be carried out: the name finds what came of it.
      const removed = container?.remove(0) ?? this.removeByName(name).finally(() => this.parts.network.giveAddress(address));
      // The next try has the same name.
      if (isAddressTaken(error)) await removed;
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
    const { network, onTrouble } = this.parts;
    const container = new DockerContainer(created, request, address, this.removals, onTrouble, () => {
      this.running.delete(created.id);
      network.giveAddress(address);
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

function isAddressTaken(error: unknown): boolean {
  return statusOf(error) === FORBIDDEN && /address already in use/i.test((error as Error).message);
}

class DockerContainer implements RunningContainer {
  readonly id: string;
  readonly address: string | undefined;
  readonly exited: Promise<Exit>;
  private output: Output | undefined;
  private readonly exit = Promise.withResolvers<Exit>();
  private ended = false;
  private starved = false;
  private removal: Promise<void> | undefined;

  constructor(
    private readonly container: Dockerode.Container,
    private readonly request: ContainerRequest,
    address: string | undefined,
    private readonly removals: Gate,
    private readonly onTrouble: (message: string) => void,
    private readonly onGone: () => void,
  ) {
    this.id = container.id;
    this.address = request.version.kind === 'http' ? address : undefined;
    this.exited = this.exit.promise;
  }

  async attach(): Promise<void> {
    this.output = await attachOutput(this.container, this.request.onOutput);
  }

  died(code: number): void {
    if (this.ended) return;
    this.ended = true;
    void this.lastWords().then(async () => {
      // The kernel's word may come a moment after the end; the engine keeps it.
      if (code !== 0 && !this.starved && this.removal === undefined) this.starved = await this.wasOutOfMemory();
      this.exit.resolve({ code, outOfMemory: this.starved });
    });
  }

  sawOutOfMemory(): void {
    this.starved = true;
  }

  async look(): Promise<void> {
    if (this.ended) return;
    try {
      const { State } = await within('inspect a container', INSPECT_MS, (abortSignal) => this.container.inspect({ abortSignal }));
      if (!State.Running) this.died(State.ExitCode);
      else if (this.output?.open === false) await this.attach();
    } catch (error) {
      if (statusOf(error) === 404) this.died(137);
      else this.onTrouble(`container ${this.id} could not be looked at: ${(error as Error).message}`);
    }
  }

  remove(graceMs: number): Promise<void> {
    this.removal ??= graceMs > 0 ? this.endGently(graceMs) : this.end();
    return this.removal;
  }

  private async endGently(graceMs: number): Promise<void> {
    const leave = await this.removals.enter();
    try {
      if (!this.ended) await this.terminate(graceMs);
      await this.end();
    } finally {
      leave();
    }
  }

  private async end(): Promise<void> {
    // First the output: the engine ends a container only once what it wrote is taken or nobody takes it.
    this.output?.close();
    await removeUntilGone(this.container, this.onTrouble);
    this.died(137);
    this.onGone();
  }

  private async terminate(graceMs: number): Promise<void> {
    try {
      await within('signal a container', KILL_MS, (abortSignal) => this.container.kill({ signal: 'SIGTERM', abortSignal }));
    } catch {
      // Not running any more, or the engine is in trouble: removal deals with both.
      return;
    }
    await Promise.race([this.exited, delay(graceMs, undefined, { ref: false })]);
  }

  private async lastWords(): Promise<void> {
    await Promise.race([this.output?.ended, delay(LAST_OUTPUT_MS)]);
  }

  private async wasOutOfMemory(): Promise<boolean> {
    try {
      const { State } = await within('inspect a container', INSPECT_MS, (abortSignal) => this.container.inspect({ abortSignal }));
      return State.OOMKilled;
    } catch {
      // Removed by hand, or the engine is away: then nobody knows.
      return false;
    }
  }
}
