import { rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { openSocketRoot } from '@kiln/instances/instance/socket-root';
import type Dockerode from 'dockerode';
import { type ImageFacts, INSTANCE_ROLE } from './container-options.js';
import { DockerDriver } from './docker-driver.js';
import { answers, type EngineFacts, readEngine, removeContainers, strayContainers } from './engine.js';
import { EngineEvents } from './engine-events.js';
import { Firewall } from './firewall.js';
import { favourFunctions } from './functions-group.js';
import { makeNetwork, removeNetwork } from './network.js';

const SWEEP_MS = 60_000;
const OPEN_ATTEMPTS = 30;
const OPEN_PAUSE_MS = 1000;

export interface NodeEngineOptions {
  docker: Dockerode;
  node: string;
  socketRoot: string;
  /** Whether instances are started only behind firewall rules, where this agent can set them. */
  firewallRequired: boolean;
  /** ms; bounds of an engine that works slowly. */
  engineTimeout: number;
  exitTimeout: number;
  facts(image: string): Promise<ImageFacts>;
  forget(image: string): void;
  onTrouble(message: string): void;
}

/** This node's share of a Docker engine: its containers, its network, its firewall rules, its events, and nobody else's. */
export class NodeEngine {
  private readonly events: EngineEvents;
  private sweep: NodeJS.Timeout | undefined;
  private suspects: ReadonlySet<string> = new Set();

  private constructor(
    private readonly options: NodeEngineOptions,
    readonly driver: DockerDriver,
    readonly firewall: Firewall,
    private readonly info: EngineFacts,
  ) {
    this.events = new EngineEvents(options.docker, options.node, {
      died: (id, code) => driver.died(id, code),
      outOfMemory: (id) => driver.outOfMemory(id),
      caughtUp: () => void driver.catchUp(),
      lost: (error) => options.onTrouble(`the engine’s events are interrupted: ${error.message}`),
    });
  }

  /** What is not as it should be, a sentence each. */
  get warnings(): string[] {
    const { warning } = this.firewall;
    return [...this.info.warnings, ...(warning === undefined ? [] : [warning])];
  }

  /** Where the engine keeps its images, as it says itself. */
  get root(): string | undefined {
    return this.info.root;
  }

  /**
   * Clears away what an earlier life of this node left, and makes what instances need.
   * @throws where the engine does not answer within half a minute
   */
  static async open(options: NodeEngineOptions): Promise<NodeEngine> {
    const { docker, node, socketRoot } = options;
    const info = await untilAnswered(options);
    const stray = await strayContainers(docker, node, () => false);
    if (stray.length > 0) options.onTrouble(`removing ${stray.length} containers that an earlier run of this node left`);
    await removeContainers(docker, stray);
    await rm(socketRoot, { recursive: true, force: true });
    await openSocketRoot(socketRoot);
    await favourFunctions(info);
    const network = await makeNetwork(docker, node);
    const firewall = new Firewall({ node, required: options.firewallRequired, onTrouble: options.onTrouble });
    const { facts, forget, onTrouble } = options;
    const driver = new DockerDriver({
      docker,
      node,
      info,
      network,
      facts,
      forget,
      onTrouble,
      patience: { boundMs: options.engineTimeout, answers: () => answers(docker, options.engineTimeout) },
      exitNewsMs: options.exitTimeout,
      admit: () => firewall.admit(),
    });
    const engine = new NodeEngine(options, driver, firewall, info);
    await firewall.open();
    await engine.events.open();
    engine.sweep = setInterval(() => void engine.removeStrays(), SWEEP_MS);
    return engine;
  }

  /** Once all instances are gone: leaves nothing of this node on the engine and on the host. */
  async close(): Promise<void> {
    const { docker, node, socketRoot, onTrouble } = this.options;
    clearInterval(this.sweep);
    this.events.close();
    await removeContainers(docker, await strayContainers(docker, node, () => false));
    if (!(await removeNetwork(docker, node)))
      onTrouble('the engine does not let go of the node’s network; it is used again at the next start');
    await this.firewall.remove();
    await rm(socketRoot, { recursive: true, force: true });
  }

  /** An instance's container that nobody knows, twice in a row: what came of a call that was given up. */
  private async removeStrays(): Promise<void> {
    const { docker, node, onTrouble } = this.options;
    try {
      const stray = await strayContainers(docker, node, (id) => this.driver.owns(id), INSTANCE_ROLE);
      await removeContainers(
        docker,
        stray.filter((id) => this.suspects.has(id)),
      );
      this.suspects = new Set(stray);
    } catch (error) {
      onTrouble(`strays could not be looked for: ${(error as Error).message}`);
    }
  }
}

async function untilAnswered({ docker, onTrouble }: NodeEngineOptions): Promise<EngineFacts> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await readEngine(docker);
    } catch (error) {
      if (attempt === OPEN_ATTEMPTS) throw error;
      if (attempt === 1) onTrouble(`the engine does not answer yet: ${(error as Error).message}`);
      await delay(OPEN_PAUSE_MS);
    }
  }
}
