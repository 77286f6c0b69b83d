import { isDeepStrictEqual } from 'node:util';
import type { FunctionConfig } from '@kiln/contract/config/function-config';
import { KilnError } from '@kiln/contract/errors';
import { DevInstance, type DevInstanceOptions } from './instance.js';
import type { FunctionSpec } from './spec.js';

/** As on the platform another call may start another instance; on a developer's machine not many. */
const MOST_INSTANCES = 8;
const MOST_WAITING = 1000;

export interface DevFunctionOptions extends Pick<DevInstanceOptions, 'environment' | 'onLine'> {
  nextSocketPath(): string;
  say(line: string): void;
}

/**
 * One function: its instances, all of the newest code. After a change those of the old code finish what they run, and whoever comes
 * meanwhile waits for the new ones.
 */
export class DevFunction {
  private instances: DevInstance[] = [];
  private starting: DevInstance | undefined;
  /** Why the last start of this code failed. */
  private failure: KilnError | undefined;
  private lastConfig: FunctionConfig | undefined;
  private waiting = 0;
  private change = Promise.withResolvers<void>();
  private readonly all = new Set<DevInstance>();

  constructor(
    private current: FunctionSpec,
    private readonly options: DevFunctionOptions,
  ) {}

  get spec(): FunctionSpec {
    return this.current;
  }

  /**
   * An instance that takes one more request. Release it afterwards.
   * @throws KilnError `start_failed`, `start_timeout`, `concurrency_limit`
   */
  async lease(): Promise<DevInstance> {
    const deadline = performance.now() + this.current.config.startTimeout + 1000;
    for (;;) {
      const found = this.instances.find(({ hasRoom }) => hasRoom);
      if (found !== undefined) {
        found.leases += 1;
        return found;
      }
      if (this.mayStart()) this.start();
      await this.changed(deadline);
      if (this.failure !== undefined && this.instances.length === 0) throw this.failure;
    }
  }

  /** Starts the first instance before anybody asks for it. */
  warmUp(): void {
    if (this.instances.length === 0 && this.starting === undefined) this.start();
  }

  /** The code or its configuration changed. */
  reload(spec: FunctionSpec): void {
    if (!isDeepStrictEqual(spec.declared, this.current.declared)) this.lastConfig = undefined;
    this.current = spec;
    const isAwake = this.all.size > 0 || this.failure !== undefined;
    this.failure = undefined;
    this.retireAll();
    if (isAwake) this.start();
  }

  /** Ends every process. */
  async stop(): Promise<void> {
    this.retireAll();
    for (const instance of this.all) instance.stop();
    await Promise.all([...this.all].map(({ exited }) => exited));
  }

  /** Takes no new request: it ran past its time. */
  condemn(instance: DevInstance): void {
    this.instances = this.instances.filter((each) => each !== instance);
    instance.retire();
    this.notify();
  }

  release(instance: DevInstance): void {
    instance.release();
    this.notify();
  }

  private retireAll(): void {
    const old = this.starting === undefined ? this.instances : [...this.instances, this.starting];
    this.instances = [];
    this.starting = undefined;
    for (const instance of old) instance.retire();
    this.notify();
  }

  /** One at a time; one that failed is tried again only when there is no other. */
  private mayStart(): boolean {
    if (this.starting !== undefined) return false;
    if (this.instances.length === 0) return true;
    const most = Math.min(MOST_INSTANCES, this.current.config.maxInstances);
    return this.failure === undefined && this.instances.length < most;
  }

  private start(): void {
    const instance = new DevInstance({
      spec: this.current,
      socketPath: this.options.nextSocketPath(),
      environment: this.options.environment,
      lastConfig: this.lastConfig,
      onLine: this.options.onLine,
      onDeath: (dead) => void this.onDeath(dead),
    });
    this.failure = undefined;
    this.starting = instance;
    this.all.add(instance);
    void instance.exited.then(() => this.all.delete(instance));
    instance.start().then(
      () => this.onStarted(instance, undefined),
      (error: unknown) => this.onStarted(instance, error as KilnError),
    );
  }

  /** What became of one that the next change overtook is nobody's concern any more. */
  private onStarted(instance: DevInstance, failure: KilnError | undefined): void {
    if (this.starting !== instance) return;
    this.starting = undefined;
    this.failure = failure;
    this.lastConfig = instance.config;
    if (failure === undefined) this.instances.push(instance);
    else this.options.say(`does not start: ${failure.message.split('\n')[0]}`);
    this.notify();
  }

  private async onDeath(instance: DevInstance): Promise<void> {
    this.instances = this.instances.filter((each) => each !== instance);
    this.options.say(`${await instance.exited}; the next call starts it again`);
    this.notify();
  }

  private notify(): void {
    this.change.resolve();
    this.change = Promise.withResolvers();
  }

  private async changed(deadline: number): Promise<void> {
    if (this.waiting >= MOST_WAITING) throw new KilnError('concurrency_limit', `${MOST_WAITING} calls are waiting`, { retryAfter: 1 });
    this.waiting += 1;
    const late = Promise.withResolvers<never>();
    const { name } = this.current;
    const timer = setTimeout(
      () => late.reject(new KilnError('start_timeout', `no instance of "${name}" became free in time`)),
      Math.max(0, deadline - performance.now()),
    );
    try {
      await Promise.race([this.change.promise, late.promise]);
    } finally {
      clearTimeout(timer);
      this.waiting -= 1;
    }
  }
}
