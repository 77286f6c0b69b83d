import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { KINDS } from '@kiln/contract/kinds';
import type { ContainerRequest, Exit, RunningContainer } from '@kiln/instances/port/container-driver';
import type { Gate } from '@kiln/instances/room/gate';
import type Dockerode from 'dockerode';
import { statusOf, within } from './deadline.js';
import { removeUntilGone } from './engine.js';
import { attachOutput, type Output } from './instance-logs.js';

const KILL_MS = 5_000;
const INSPECT_MS = 5_000;
/** After the end of a process, for what it wrote last. */
const LAST_OUTPUT_MS = 200;
/** After a broken connection: most ends are told of by then. */
const FIRST_NEWS_MS = 1000;
const KILLED = 137;
/** After the end of a process that was killed, for the kernel's word on memory. */
const CAUSE_MS = 1000;
const CAUSE_PAUSE_MS = 100;
/** A process that was killed for lack of memory is the cause of what breaks so soon after. */
const LATELY_MS = 5000;

export interface DockerContainerParts {
  container: Dockerode.Container;
  request: ContainerRequest;
  address: string | undefined;
  removals: Gate;
  /** ms in which the engine tells of an end of which there are other signs. */
  exitNewsMs: number;
  onTrouble(message: string): void;
  onGone(): void;
}

/** One container of a Docker engine, from when it is made until it is confirmed gone. */
export class DockerContainer implements RunningContainer {
  readonly id: string;
  readonly address: string | undefined;
  readonly ended: Promise<void>;
  readonly exited: Promise<Exit>;
  private readonly container: Dockerode.Container;
  private readonly end = Promise.withResolvers<void>();
  private readonly exit = Promise.withResolvers<Exit>();
  private output: Output | undefined;
  private hasEnded = false;
  private starvedAt: number | undefined;
  private removal: Promise<void> | undefined;

  constructor(private readonly parts: DockerContainerParts) {
    const { container, request, address } = parts;
    this.container = container;
    this.id = container.id;
    this.address = KINDS[request.version.kind].reachedBy === 'address' ? address : undefined;
    this.ended = this.end.promise;
    this.exited = this.exit.promise;
  }

  async attach(): Promise<void> {
    this.output = await attachOutput(this.container, this.parts.request.onOutput);
  }

  died(code: number): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.end.resolve();
    void this.tellExit(code);
  }

  sawOutOfMemory(): void {
    this.starvedAt = performance.now();
  }

  get lackedMemory(): boolean {
    return this.starvedAt !== undefined && performance.now() - this.starvedAt < LATELY_MS;
  }

  /** A connection shows an end first; the engine says a moment later how it came. */
  async exitNews(): Promise<Exit | undefined> {
    const news = (ms: number) => Promise.race([this.exited, delay(ms, undefined, { ref: false })]);
    return (await news(FIRST_NEWS_MS)) ?? ((await this.isEnding()) ? await news(this.parts.exitNewsMs) : undefined);
  }

  async look(): Promise<void> {
    if (this.hasEnded) return;
    try {
      const { State } = await within('inspect a container', INSPECT_MS, (abortSignal) => this.container.inspect({ abortSignal }));
      if (!State.Running) this.died(State.ExitCode);
      else if (this.output?.open === false) await this.attach();
    } catch (error) {
      if (statusOf(error) === 404) this.died(137);
      else this.parts.onTrouble(`container ${this.id} could not be looked at: ${(error as Error).message}`);
    }
  }

  remove(graceMs: number): Promise<void> {
    this.removal ??= graceMs > 0 ? this.endGently(graceMs) : this.finish();
    return this.removal;
  }

  private async endGently(graceMs: number): Promise<void> {
    const leave = await this.parts.removals.enter();
    try {
      if (!this.hasEnded) await this.terminate(graceMs);
      await this.finish();
    } finally {
      leave();
    }
  }

  private async finish(): Promise<void> {
    // First the output: the engine ends a container only once what it wrote is taken or nobody takes it.
    this.output?.close();
    await removeUntilGone(this.container, this.parts.onTrouble);
    this.died(137);
    this.parts.onGone();
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

  private async tellExit(code: number): Promise<void> {
    await this.lastWords();
    if (code !== 0) await this.waitForCause(code);
    this.exit.resolve({ code, outOfMemory: this.starvedAt !== undefined });
  }

  /** The kernel's word on memory may come a moment after the end; the engine keeps it. */
  private async waitForCause(code: number): Promise<void> {
    const until = performance.now() + (code === KILLED ? CAUSE_MS : 0);
    for (;;) {
      if (this.starvedAt !== undefined || this.removal !== undefined) return;
      const state = await this.state();
      if (state?.OOMKilled) this.sawOutOfMemory();
      // Removed by hand, or the engine is away: then nobody knows.
      if (state === undefined || performance.now() >= until) return;
      await delay(CAUSE_PAUSE_MS);
    }
  }

  /** True where the engine has not told of an end, and there are signs of one. */
  private async isEnding(): Promise<boolean> {
    if (this.hasEnded) return true;
    const state = await this.state();
    return state !== undefined && (!state.Running || hasLostItsProgram(state.Pid, this.id));
  }

  private async state(): Promise<Dockerode.ContainerInspectInfo['State'] | undefined> {
    try {
      return (await within('inspect a container', INSPECT_MS, (abortSignal) => this.container.inspect({ abortSignal }))).State;
    } catch {
      return undefined;
    }
  }
}

/** The engine's init process has none to look after any more. False where this process does not see it, as from a container. */
function hasLostItsProgram(pid: number, id: string): boolean {
  try {
    if (!readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(id)) return false;
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim() === '';
  } catch {
    return false;
  }
}
