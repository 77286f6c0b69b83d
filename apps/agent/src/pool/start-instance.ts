import { join } from 'node:path';
import { KilnError } from '@kiln/contract/errors';
import { dialsIn } from '@kiln/contract/function-config';
import type { InstanceLog } from '../logs/instance-log.js';
import type { ContainerDriver, FunctionVersion } from './container-driver.js';
import { DialIn } from './dial-in.js';
import { describeExit, withLastLines } from './exit.js';
import type { Gate } from './gate.js';
import { HttpAccess } from './http-access.js';
import type { Instance } from './instance.js';
import { Refusal } from './refusal.js';
import type { RoomMaker } from './room-maker.js';

/** Time for an idle instance to end by itself. */
const GRACE_MS = 1000;
const NO_SECRETS = {};

/** The cluster-wide count of a version's instances. */
export interface ClusterSlots {
  /** False where `maxInstances` exist already. Ends within a bound, also while the store is away. */
  reserve(version: FunctionVersion): Promise<boolean>;
  release(version: FunctionVersion): void;
}

/** Sees to it that an image is on this node. */
interface Images {
  ensure(image: string): Promise<unknown>;
}

/** The secrets of a version in clear, by name. @throws KilnError, a Refusal where another node may know them */
export type SecretsOf = (version: FunctionVersion) => Promise<Readonly<Record<string, string>>>;

export interface StarterParts {
  driver: ContainerDriver;
  images: Images;
  secretsOf: SecretsOf;
  slots: ClusterSlots;
  room: RoomMaker;
  gate: Gate;
  newLog(instance: Instance): InstanceLog;
  /** Folder in which each runner instance gets a folder of its own for its socket. */
  socketRoot: string;
}

/** Brings instances up and takes them down. */
export class InstanceStarter {
  constructor(private readonly parts: StarterParts) {}

  /** Resolves when it is ready. What was taken on the way is given back by `stop`, which must follow a failure too. @throws KilnError */
  async start(instance: Instance): Promise<void> {
    try {
      await this.makeReady(instance);
    } catch (error) {
      if (error instanceof KilnError) throw error;
      const message = error instanceof Error ? error.message : String(error);
      throw new KilnError('start_failed', `the node could not start it: ${message}`, { cause: error });
    }
  }

  /** Resolves when nothing is left of it. */
  async stop(instance: Instance): Promise<void> {
    // Connections first: the address may be another container's the moment this one is gone.
    instance.access?.destroy();
    const graceful = instance.state === 'stopping' && !instance.condemned;
    await instance.container?.remove(graceful ? GRACE_MS : 0);
    instance.log?.end();
    for (const release of instance.held.splice(0)) release();
    instance.life.transition('removed');
  }

  private async makeReady(instance: Instance): Promise<void> {
    this.parts.driver.admit();
    await this.parts.images.ensure(instance.version.image);
    await this.reserve(instance);
    const leave = await this.parts.gate.enter();
    try {
      instance.life.transition('starting');
      await this.bringUp(instance);
    } finally {
      leave();
    }
  }

  private async reserve(instance: Instance): Promise<void> {
    const { slots, room } = this.parts;
    const { version } = instance;
    if (!(await slots.reserve(version))) {
      throw new Refusal('concurrency_limit', `"${version.function}" has its ${version.config.maxInstances} instances, all busy`);
    }
    instance.held.push(() => slots.release(version));
    const reservation = await room.reserve({ memory: version.config.memory, cpu: version.config.cpu }, instance.ahead);
    instance.held.push(() => reservation.release());
  }

  private async bringUp(instance: Instance): Promise<void> {
    const { driver, newLog, secretsOf, socketRoot } = this.parts;
    const { id, version } = instance;
    const { config, kind } = version;
    const began = performance.now();
    const log = newLog(instance);
    instance.log = log;
    const dialIn = dialsIn(kind) ? await DialIn.open(join(socketRoot, id), config.concurrency) : undefined;
    instance.access = dialIn;
    instance.container = await driver.start({
      instance: id,
      version,
      secrets: version.secretRevisions === undefined ? NO_SECRETS : await secretsOf(version),
      ...(dialIn !== undefined && { socketFolder: dialIn.folder }),
      onOutput: (source, chunk) => log.write(source, chunk),
    });
    instance.access ??= new HttpAccess(instance.container.address ?? '', config.port);
    await becomeReady(instance, config.startTimeout - (performance.now() - began));
  }
}

async function becomeReady(instance: Instance, timeoutMs: number): Promise<void> {
  const { container, access, log, version } = instance;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => {
        const how = dialsIn(version.kind) ? 'did not connect' : `accepted no connection on port ${version.config.port}`;
        reject(new KilnError('start_timeout', withLastLines(`it ${how} within ${version.config.startTimeout} ms`, log!.lastLines)));
      },
      Math.max(1, timeoutMs),
    );
  });
  const ended = container!.exited.then((exit) => {
    const detail = `before it was ready ${describeExit(exit, log!.lastLines, version.config.memory)}`;
    throw new KilnError('start_failed', withLastLines(detail, log!.lastLines), { fix: 'kiln logs shows all it wrote' });
  });
  try {
    await Promise.race([access!.ready(), ended, late]);
  } finally {
    clearTimeout(timer);
    // The race may be over before the instance ends: that end is then the pool's matter.
    ended.catch(() => undefined);
  }
}
