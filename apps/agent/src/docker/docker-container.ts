import { setTimeout as delay } from 'node:timers/promises';
import { KINDS } from '@kiln/contract/kinds';
import { statusOf } from '@kiln/engine/engine-error';
import type { Activity, ContainerRequest, Exit, RunningContainer } from '@kiln/instances/port/container-driver';
import type { Gate } from '@kiln/instances/room/gate';
import type Dockerode from 'dockerode';
import { hasLostItsProgram, readActivity } from './container-proc.js';
import { within } from './deadline.js';
import { removeUntilGone } from './engine.js';
import { attachOutput, type Output } from './instance-logs.js';

const KILL_MS = 5_000;
const INSPECT_MS = 5_000;
/** For the last output of a process that has ended. */
const LAST_OUTPUT_MS = 200;
/** After a broken connection: most exit events come within this time. */
const FIRST_WAIT_MS = 1000;
const KILLED = 137;
/** After the end of a killed process: the report of an out-of-memory kill may come so much later. */
const CAUSE_MS = 1000;
const CAUSE_PAUSE_MS = 100;
/** An out-of-memory kill counts as the cause of a failure for so long. */
const CAUSE_VALID_MS = 5000;

export interface DockerContainerParts {
  container: Dockerode.Container;
  request: ContainerRequest;
  address: string | undefined;
  removals: Gate;
  /** ms to wait for the engine's event, where other signs show that the container has ended. */
  exitNewsMs: number;
  onTrouble(message: string, keys?: object): void;
  onGone(): void;
}

/** One container of a Docker engine, until the engine confirms its removal. */
export class DockerContainer implements RunningContainer {
  readonly id: string;
  readonly address: string | undefined;
  private readonly end = Promise.withResolvers<void>();
  readonly ended = this.end.promise;
  private readonly exit = Promise.withResolvers<Exit>();
  readonly exited = this.exit.promise;
  private output: Output | undefined;
  private hasEnded = false;
  private starvedAt: number | undefined;
  private pid: number | undefined;
  private removal: Promise<void> | undefined;
  private readonly graceTimers: NodeJS.Timeout[] = [];
  private readonly graceOver = Promise.withResolvers<void>();

  constructor(private readonly parts: DockerContainerParts) {
    const { container, request, address } = parts;
    this.id = container.id;
    this.address = KINDS[request.version.kind].reachedBy === 'address' ? address : undefined;
  }

  async attach(): Promise<void> {
    this.output = await attachOutput(this.parts.container, this.parts.request.onOutput);
  }

  died(code: number): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.end.resolve();
    void this.resolveExit(code);
  }

  sawOutOfMemory(): void {
    this.starvedAt = performance.now();
  }

  get lackedMemory(): boolean {
    return this.starvedAt !== undefined && performance.now() - this.starvedAt < CAUSE_VALID_MS;
  }

  async activity(): Promise<Activity | undefined> {
    this.pid ??= (await this.state()).Pid;
    return this.hasEnded ? undefined : readActivity(this.pid, this.id);
  }

  /** A broken connection comes before the engine's exit event, so this waits for the event. */
  async exitNews(): Promise<Exit | undefined> {
    const news = (ms: number) => Promise.race([this.exited, delay(ms, undefined, { ref: false })]);
    return (await news(FIRST_WAIT_MS)) ?? ((await this.isEnding()) ? await news(this.parts.exitNewsMs) : undefined);
  }

  async check(): Promise<void> {
    if (this.hasEnded) return;
    try {
      const { Running, ExitCode } = await this.state();
      if (!Running) this.died(ExitCode);
      else if (this.output?.open === false) await this.attach();
    } catch (error) {
      if (statusOf(error) === 404) this.died(137);
      else this.parts.onTrouble('container inspection failed', { container: this.id, error: (error as Error).message });
    }
  }

  remove(graceMs: number): Promise<void> {
    if (this.removal === undefined) this.removal = graceMs > 0 ? this.endGently(graceMs) : this.finish();
    else this.endGraceIn(graceMs);
    return this.removal;
  }

  /** Waits outside of the gate: programs that take their time hold no others back. */
  private async endGently(graceMs: number): Promise<void> {
    if (!this.hasEnded && (await this.inTurn(() => this.terminate()))) {
      this.endGraceIn(graceMs);
      await Promise.race([this.exited, this.graceOver.promise]);
      for (const timer of this.graceTimers) clearTimeout(timer);
    }
    await this.inTurn(() => this.finish());
  }

  private endGraceIn(ms: number): void {
    this.graceTimers.push(setTimeout(this.graceOver.resolve, ms).unref());
  }

  private async inTurn<T>(work: () => Promise<T>): Promise<T> {
    const leave = await this.parts.removals.enter();
    return await work().finally(leave);
  }

  private async finish(): Promise<void> {
    // First the output: the engine ends a container only when its output is read or nobody is attached.
    this.output?.close();
    await removeUntilGone(this.parts.container, this.parts.onTrouble);
    this.died(137);
    this.parts.onGone();
  }

  /** @returns false where the container has ended, or the engine fails: the removal handles both */
  private async terminate(): Promise<boolean> {
    try {
      await within('signal a container', KILL_MS, (abortSignal) => this.parts.container.kill({ signal: 'SIGTERM', abortSignal }));
      return true;
    } catch {
      return false;
    }
  }

  private async resolveExit(code: number): Promise<void> {
    await Promise.race([this.output?.ended, delay(LAST_OUTPUT_MS)]);
    if (code !== 0) await this.waitForCause(code);
    this.exit.resolve({ code, outOfMemory: this.starvedAt !== undefined });
  }

  /** The report of an out-of-memory kill may come a moment after the end. */
  private async waitForCause(code: number): Promise<void> {
    const until = performance.now() + (code === KILLED ? CAUSE_MS : 0);
    for (;;) {
      if (this.starvedAt !== undefined || this.removal !== undefined) return;
      const state = await this.state().catch(() => undefined);
      if (state?.OOMKilled) this.sawOutOfMemory();
      // Somebody removed the container, or the engine does not respond: the cause stays unknown.
      if (state === undefined || performance.now() >= until) return;
      await delay(CAUSE_PAUSE_MS);
    }
  }

  /** True where the engine has sent no exit event yet, but other signs show the end. */
  private async isEnding(): Promise<boolean> {
    if (this.hasEnded) return true;
    const state = await this.state().catch(() => undefined);
    return state !== undefined && (!state.Running || hasLostItsProgram(state.Pid, this.id));
  }

  private async state(): Promise<Dockerode.ContainerInspectInfo['State']> {
    return (await within('inspect a container', INSPECT_MS, (abortSignal) => this.parts.container.inspect({ abortSignal }))).State;
  }
}
