import { rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { openSocketRoot } from '@kiln/instances/instance/socket-root';
import { INSTANCE_ROLE } from './container-options.js';
import { DockerDriver, type DriverParts } from './docker-driver.js';
import { answers, type EngineFacts, readEngine, removeContainers, strayContainers } from './engine.js';
import { EngineEvents } from './engine-events.js';
import { Firewall } from './firewall.js';
import { raiseFunctionWeight } from './function-cpu-weight.js';
import { makeNetwork, removeNetwork } from './network.js';

const SWEEP_MS = 60_000;
const OPEN_ATTEMPTS = 30;
const OPEN_PAUSE_MS = 1000;

export interface NodeEngineOptions extends Pick<DriverParts, 'docker' | 'node' | 'facts' | 'forget' | 'onTrouble'> {
  socketRoot: string;
  /** Whether instances start only behind firewall rules, where this agent can set them. */
  firewallRequired: boolean;
  /** ms; bounds for a slow engine. */
  engineTimeout: number;
  exitTimeout: number;
}

/** This node's part of a Docker engine: its own containers, network, firewall rules and events. */
export class NodeEngine {
  private readonly events: EngineEvents;
  private sweep: NodeJS.Timeout | undefined;
  private strays: ReadonlySet<string> = new Set();

  private constructor(
    private readonly options: NodeEngineOptions,
    readonly driver: DockerDriver,
    readonly firewall: Firewall,
    /** As the engine told it at the start; a lasting fault that is found later may be added to its warnings. */
    readonly info: EngineFacts,
  ) {
    this.events = new EngineEvents(options.docker, options.node, {
      died: (id, code) => driver.died(id, code),
      outOfMemory: (id) => driver.outOfMemory(id),
      caughtUp: () => void driver.catchUp(),
      lost: (error) => options.onTrouble('event stream of the engine broke', { error: error.message }),
    });
  }

  /** Faults of the engine and the firewall, a sentence each. */
  get warnings(): string[] {
    const { warning } = this.firewall;
    return [...this.info.warnings, ...(warning === undefined ? [] : [warning])];
  }

  /** Removes the leftovers of an earlier run, and makes what instances need. @throws where the engine does not answer within 30 s */
  static async open(options: NodeEngineOptions): Promise<NodeEngine> {
    const { docker, node, socketRoot } = options;
    const info = await untilAnswered(options);
    const stray = await strayContainers(docker, node, () => false);
    if (stray.length > 0) options.onTrouble('removing containers of an earlier run of this node', { containers: stray.length });
    await removeContainers(docker, stray);
    await rm(socketRoot, { recursive: true, force: true });
    await openSocketRoot(socketRoot);
    await raiseFunctionWeight(info);
    const addresses = await makeNetwork(docker, node);
    const firewall = new Firewall({ node, required: options.firewallRequired, onTrouble: options.onTrouble });
    const driver = new DockerDriver({
      ...options,
      info,
      addresses,
      patience: { boundMs: options.engineTimeout, answers: () => answers(docker, options.engineTimeout) },
      exitNewsMs: options.exitTimeout,
      admit: () => firewall.admit(),
    });
    const engine = new NodeEngine(options, driver, firewall, info);
    await firewall.ensure();
    await engine.events.open();
    engine.sweep = setInterval(() => void engine.removeStrays(), SWEEP_MS);
    return engine;
  }

  /** Removes everything of this node from the engine and the host; to be called when all instances are removed. */
  async close(): Promise<void> {
    const { docker, node, socketRoot, onTrouble } = this.options;
    clearInterval(this.sweep);
    this.events.close();
    await removeContainers(docker, await strayContainers(docker, node, () => false));
    if (!(await removeNetwork(docker, node))) onTrouble('engine can not remove the network of this node, the next start uses it again');
    await this.firewall.remove();
    await rm(socketRoot, { recursive: true, force: true });
  }

  /** Removes instance containers that belong to no instance in two sweeps: a request that timed out may make one later. */
  private async removeStrays(): Promise<void> {
    const { docker, node, onTrouble } = this.options;
    try {
      const stray = await strayContainers(docker, node, (id) => this.driver.owns(id), INSTANCE_ROLE);
      await removeContainers(
        docker,
        stray.filter((id) => this.strays.has(id)),
      );
      this.strays = new Set(stray);
    } catch (error) {
      onTrouble('search for stray containers failed', { error: (error as Error).message });
    }
  }
}

async function untilAnswered({ docker, onTrouble }: NodeEngineOptions): Promise<EngineFacts> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await readEngine(docker);
    } catch (error) {
      if (attempt === OPEN_ATTEMPTS) throw error;
      if (attempt === 1) onTrouble('engine does not answer yet', { error: (error as Error).message });
      await delay(OPEN_PAUSE_MS);
    }
  }
}
