import { isDeepStrictEqual } from 'node:util';
import type { FunctionConfig } from '@kiln/contract/config/function-config';
import type { InstancePool } from '@kiln/instances/pool/instance-pool';
import type { DevNode, OutputLine } from './dev-node.js';
import { readModuleConfig } from './module-config.js';
import type { FunctionSpec } from './spec.js';

/** A pool of instances serves its newest code. After a change the old ones finish what they run; new calls wait for the new ones. */
export class DevFunction {
  private opened: Promise<InstancePool> | undefined;
  /** The whole configuration as the code before had it: good until that of this code is known. */
  private lastConfig: FunctionConfig | undefined;
  private reading = new AbortController();

  constructor(
    public spec: FunctionSpec,
    private readonly node: DevNode,
    private readonly onLine: (line: OutputLine) => void,
  ) {}

  /** What serves its newest code. */
  get pool(): Promise<InstancePool> {
    this.opened ??= this.open(this.spec);
    return this.opened;
  }

  /** Starts the first instance before anybody asks for it. */
  warmUp(): void {
    void this.pool.then((pool) => pool.startAhead(1, pool.version.config.startTimeout));
  }

  /** The code or its configuration changed. */
  reload(spec: FunctionSpec): void {
    if (!isDeepStrictEqual(spec.declared, this.spec.declared)) this.lastConfig = undefined;
    this.spec = spec;
    if (this.opened === undefined) return;
    this.retire();
    this.warmUp();
  }

  /** Ends what serves: the code has changed, or the function is not declared any more. */
  retire(): void {
    this.reading.abort();
    this.reading = new AbortController();
    void this.opened?.then((pool) => this.node.retire(pool));
    this.opened = undefined;
  }

  /** The first time it waits for what the module says of itself; later code has mostly the configuration of the code before. */
  private async open(spec: FunctionSpec): Promise<InstancePool> {
    const { signal } = this.reading;
    const read = this.readConfig(spec, signal);
    const config = this.lastConfig ?? (await read) ?? spec.config;
    void read.then((found) => {
      if (found !== undefined && !signal.aborted) this.settle(spec, config, found);
    });
    return this.node.poolOf(spec, config);
  }

  /** What the module says is known: where its instances have something else, there are new ones. It is not read again for them. */
  private settle(spec: FunctionSpec, used: FunctionConfig, found: FunctionConfig): void {
    this.lastConfig = found;
    if (this.opened === undefined || isDeepStrictEqual(used, found)) return;
    this.retire();
    this.opened = Promise.resolve(this.node.poolOf(spec, found));
    this.warmUp();
  }

  private async readConfig(spec: FunctionSpec, signal: AbortSignal): Promise<FunctionConfig | undefined> {
    try {
      return await readModuleConfig(spec, this.node.environmentOf(spec), signal);
    } catch (error) {
      this.onLine({ level: 'warn', message: (error as Error).message });
      return spec.config;
    }
  }
}
