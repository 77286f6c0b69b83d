import { EventEmitter, once } from 'node:events';
import { KilnError } from '@kiln/contract/errors';
import type { FunctionWithVersions } from '@kiln/state/functions/function-entry';
import type { FunctionStore } from '@kiln/state/functions/function-store';
import { SingleFlight } from '@kiln/state/store/single-flight';
import { refreshOnMiss } from './refresh-on-miss.js';
import type { RouteTable } from './route-table.js';

/** The functions as last read. What is read goes into the route table at once. */
export class Catalog {
  private last: readonly FunctionWithVersions[] | undefined;
  private readonly reading = new SingleFlight(() => this.read());
  private readonly changes = new EventEmitter().setMaxListeners(0);
  /** For a request whose function or version is not known here. Never rejects. */
  readonly refreshOnMiss = refreshOnMiss(() => this.refresh());

  constructor(
    private readonly functions: FunctionStore,
    private readonly routes: RouteTable,
    private readonly onFirstRead?: () => void,
  ) {}

  /** As last read. */
  get known(): readonly FunctionWithVersions[] {
    return this.last ?? [];
  }

  /** @throws KilnError `unavailable`; what was known stays. */
  refresh(): Promise<void> {
    return this.reading.run();
  }

  /** Ends when the function is read with a change, at the latest when the signal is aborted. Never rejects. */
  async changed(name: string, signal: AbortSignal): Promise<void> {
    const before = this.find(name);
    while (!signal.aborted && this.find(name) === before) await once(this.changes, 'read', { signal }).catch(() => undefined);
  }

  /** As it is now or, while the store is away, as it was last. @throws KilnError `unavailable` when it was never read. */
  async list(): Promise<readonly FunctionWithVersions[]> {
    try {
      await this.refresh();
    } catch (error) {
      if (this.last === undefined) throw error;
    }
    return this.known;
  }

  /** @throws KilnError `function_not_found` */
  async get(name: string): Promise<FunctionWithVersions> {
    await this.list();
    const found = this.find(name);
    if (found === undefined)
      throw new KilnError('function_not_found', `there is no function "${name}"`, { fix: 'see `kiln ls` for those that exist' });
    return found;
  }

  private find(name: string): FunctionWithVersions | undefined {
    return this.known.find((entry) => entry.function.name === name);
  }

  private async read(): Promise<void> {
    const all = await this.functions.listAll();
    if (all === this.last) return;
    const first = this.last === undefined;
    this.last = all;
    this.routes.replace(all);
    if (first) this.onFirstRead?.();
    this.changes.emit('read');
  }
}
