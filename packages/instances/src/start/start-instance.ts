import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { KilnError } from '@kiln/contract/errors';
import { KINDS } from '@kiln/contract/kinds';
import { DialIn } from '../instance/dial-in.js';
import { HttpAccess } from '../instance/http-access.js';
import type { Instance } from '../instance/instance.js';
import type { InstanceLog } from '../logs/instance-log.js';
import type { ContainerDriver, FunctionVersion } from '../port/container-driver.js';
import { withLastLines } from '../port/exit.js';
import { Refusal, StartDropped } from '../port/refusal.js';
import { gateIsBusy, imageOnItsWay } from '../queue/queue-errors.js';
import { WAIT_MARGIN_MS } from '../queue/wait-queue.js';
import type { Gate } from '../room/gate.js';
import type { RoomMaker } from '../room/room-maker.js';
import { failedStart } from './failed-start.js';
import { misplaced, watchPort } from './watch-port.js';

const LATE_LOOK_MS = 1000;

/** Where `maxInstances` exist: `elsewhere`, a node that runs one takes calls; `passing`, none does: a slot is free when it is gone. */
export type SlotAnswer = 'granted' | 'elsewhere' | 'passing';

/** The cluster-wide count of a version's instances. */
export interface ClusterSlots {
  /** Ends within a bound, also while the store is away. */
  reserve(version: FunctionVersion): Promise<SlotAnswer>;
  release(version: FunctionVersion): void;
}

/** The secrets of a version in clear, by name. @throws KilnError, a Refusal where another node may know them */
export type SecretsOf = (version: FunctionVersion) => Promise<Readonly<Record<string, string>>>;

export interface StarterParts {
  driver: ContainerDriver;
  /** Sees to it that an image is on this node. */
  images: { ensure(image: string): Promise<unknown> };
  secretsOf: SecretsOf;
  slots: ClusterSlots;
  room: RoomMaker;
  gate: Gate;
  newLog(instance: Instance): InstanceLog;
  /** Folder in which each runner instance gets a folder of its own for its socket. */
  socketRoot: string;
}

/** What brings instances up and takes them down. */
export type Starter = Pick<InstanceStarter, 'atOnce' | 'start' | 'stop'>;

/** Brings instances up and takes them down. */
export class InstanceStarter {
  constructor(private readonly parts: StarterParts) {}

  get atOnce(): number {
    return this.parts.gate.width;
  }

  /** Resolves when it is ready. `stop` gives back what was taken, and must follow a failure too. @throws KilnError, StartDropped */
  async start(instance: Instance): Promise<void> {
    try {
      await this.makeReady(instance);
    } catch (error) {
      if (error instanceof KilnError || error instanceof StartDropped) throw error;
      const message = error instanceof Error ? error.message : String(error);
      throw new KilnError('start_failed', `the node could not start it: ${message}`, { cause: error });
    }
  }

  /** Resolves when nothing is left of it. */
  async stop(instance: Instance): Promise<void> {
    // Connections first: the address may be another container's the moment this one is gone.
    instance.access?.destroy();
    const graceful = instance.state === 'stopping' && !instance.condemned;
    await instance.container?.remove(graceful ? instance.version.config.stopGrace : 0);
    instance.log?.end();
    instance.gone();
  }

  private async makeReady(instance: Instance): Promise<void> {
    this.parts.driver.admit();
    const { images, secretsOf } = this.parts;
    const { version } = instance;
    instance.obstacle = () => imageOnItsWay(version);
    await images.ensure(version.image);
    instance.obstacle = undefined;
    // Whoever may have to wait for the store does so before it holds anything that is scarce.
    const secrets = version.secretRevisions === undefined ? {} : await secretsOf(version);
    await this.reserve(instance);
    const readyBy = await this.bringUp(instance, secrets);
    await becomeReady(instance, readyBy - performance.now());
  }

  private async reserve(instance: Instance): Promise<void> {
    const { slots, room } = this.parts;
    const { version } = instance;
    throwUnlessNeeded(instance);
    const answer = await slots.reserve(version);
    if (answer !== 'granted') {
      const detail = `"${version.function}" has its ${version.config.maxInstances} instances, all busy`;
      throw new Refusal('concurrency_limit', detail, { passing: answer === 'passing' });
    }
    instance.hold('slot', () => slots.release(version));
    throwUnlessNeeded(instance);
    await room.reserve(instance, version.config.startTimeout + WAIT_MARGIN_MS);
  }

  /** The engine's part of the start, at the gate. Resolves with the time by which it must be ready. */
  private async bringUp(instance: Instance, secrets: Readonly<Record<string, string>>): Promise<number> {
    const { driver, gate, newLog, socketRoot } = this.parts;
    const { id, version } = instance;
    const { config, kind } = version;
    instance.obstacle = () => gateIsBusy(version);
    const leave = await gate.enter(version.function);
    try {
      throwUnlessNeeded(instance);
      instance.obstacle = undefined;
      instance.transition('starting');
      const log = newLog(instance);
      instance.log = log;
      const dialIn = KINDS[kind].reachedBy === 'socket' ? await DialIn.open(join(socketRoot, id), config.concurrency) : undefined;
      instance.access = dialIn;
      instance.container = await driver.start({
        instance: id,
        version,
        secrets,
        socketFolder: dialIn?.folder,
        onOutput: (source, chunk) => log.write(source, chunk),
      });
      instance.access ??= new HttpAccess(instance.container.address ?? '', config.port);
      // Given up before there was anything to cut.
      if (instance.condemned) throw new KilnError('unavailable', `"${version.function}" is not wanted here any more`);
      // The engine has bounds of its own: from here on it is the function that takes its time.
      return performance.now() + config.startTimeout;
    } finally {
      leave();
    }
  }
}

function throwUnlessNeeded(instance: Instance): void {
  if (!instance.reason.needed()) throw new StartDropped();
}

async function becomeReady(instance: Instance, timeoutMs: number): Promise<void> {
  const { container, access, log, version, reason } = instance;
  const over = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => void lateStart(instance).then(reject, reject), Math.max(1, timeoutMs));
  });
  const ended = container!.exited.then((exit) => {
    throw failedStart(exit, log!.lastLines, version.config.memory);
  });
  // One that was ready before listens in the right place: it may take its time.
  const elsewhere = reason.untried && KINDS[version.kind].reachedBy === 'address' ? [watchPort(instance, over.signal)] : [];
  try {
    await Promise.race([access!.ready(), ended, late, ...elsewhere]);
  } finally {
    clearTimeout(timer);
    over.abort();
    // The race may be over before the instance ends: that end is then the pool's matter.
    for (const other of [ended, ...elsewhere]) other.catch(() => undefined);
  }
}

async function lateStart({ container, log, version: { kind, config } }: Instance): Promise<KilnError> {
  const { port, startTimeout } = config;
  const isDialled = KINDS[kind].reachedBy === 'address';
  // Who waits for the start gives up soon after it.
  const look = isDialled ? container?.activity?.().catch(() => undefined) : undefined;
  const found = misplaced((await Promise.race([look, delay(LATE_LOOK_MS, undefined, { ref: false })]))?.listeners ?? [], port);
  const how = isDialled ? `accepted no connection on port ${port}` : 'did not connect';
  const why = found === undefined ? '' : `: ${found.why}`;
  const fix = found === undefined ? {} : { fix: found.fix };
  return new KilnError('start_timeout', withLastLines(`it ${how} within ${startTimeout} ms${why}`, log!.lastLines), fix);
}
