import { mkdtemp, readdir, rm } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { basename, join, sep } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { DevFunction } from './dev-function.js';
import { DevNode, type DevNodeOptions } from './dev-node.js';
import { DevHandler, type DevHandlerParts } from './handler.js';
import type { FunctionSpec, Specs } from './spec.js';

/** More are started by their first call. */
const WARMED_UP = 8;
const DECLARES = new Set(['kiln.json', '.env']);

interface DevOptions extends Pick<DevHandlerParts, 'onCall'>, Omit<DevNodeOptions, 'socketRoot'> {
  specs: Specs;
  /** Reads them again. */
  read(): Promise<Specs>;
}

/** The functions of a folder, each in a process of its own, behind one HTTP server. */
export class Dev {
  readonly server: http.Server;
  private readonly functions = new Map<string, DevFunction>();
  private readonly node: DevNode;

  private constructor(
    private readonly folder: string,
    private readonly options: DevOptions,
  ) {
    this.node = new DevNode({ ...options, socketRoot: folder });
    const handler = new DevHandler({ functions: this.functions, onCall: options.onCall });
    this.server = http.createServer({ requestTimeout: 0 }, handler.handle).on('upgrade', handler.upgrade);
    for (const spec of options.specs.functions) this.add(spec);
    for (const each of [...this.functions.values()].slice(0, WARMED_UP)) each.warmUp();
  }

  static async start(options: DevOptions): Promise<Dev> {
    return new Dev(await socketFolder(), options);
  }

  /** Files changed: the functions of their folders get new instances, and functions come and go as `kiln.json` says. */
  async onChange(paths: readonly string[]): Promise<void> {
    let specs: FunctionSpec[] | undefined;
    try {
      if (paths.some((path) => DECLARES.has(basename(path)))) specs = (await this.options.read()).functions;
    } catch (error) {
      this.options.say(`${(error as Error).message}; going on as before`);
      return;
    }
    if (specs !== undefined) this.comeAndGo(specs);
    const byName = new Map(specs?.map((spec) => [spec.name, spec]));
    for (const [name, each] of this.functions) {
      const spec = byName.get(name) ?? each.spec;
      const touched = paths.some((path) => path.startsWith(spec.folder + sep) && !DECLARES.has(basename(path)));
      if (!touched && isDeepStrictEqual(spec, each.spec)) continue;
      this.options.say(`${name}: reloading`);
      each.reload(spec);
    }
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    for (const each of this.functions.values()) each.retire();
    await this.node.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  private comeAndGo(specs: readonly FunctionSpec[]): void {
    const names = new Set(specs.map(({ name }) => name));
    for (const [name, each] of this.functions) {
      if (names.has(name)) continue;
      this.functions.delete(name);
      this.options.say(`${name}: not declared any more`);
      each.retire();
    }
    for (const spec of specs) {
      if (this.functions.has(spec.name)) continue;
      this.options.say(`${spec.name}: new`);
      this.add(spec).warmUp();
    }
  }

  private add(spec: FunctionSpec): DevFunction {
    const added = new DevFunction(spec, this.node, (line) => this.options.onLine(spec.name, line));
    this.functions.set(spec.name, added);
    return added;
  }
}

/** Named after this process; those of processes that were killed go first. */
async function socketFolder(): Promise<string> {
  for (const name of await readdir(tmpdir())) {
    const [, owner] = /^kiln-dev-(\d+)-/.exec(name) ?? [];
    if (owner !== undefined && !runs(Number(owner))) await rm(join(tmpdir(), name), { recursive: true, force: true });
  }
  return await mkdtemp(join(tmpdir(), `kiln-dev-${process.pid}-`));
}

function runs(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
