import { once } from 'node:events';
import type { Server } from 'node:http';
import type { Session } from '../command.js';
import { requireKnown } from '../deploy/prepare.js';
import { Failure } from '../failure.js';
import { readProjects } from '../folder/repository.js';
import { formatOf, type OutputOptions, printLine } from '../output/print.js';
import { pairs } from '../output/table.js';
import { duration } from '../output/units.js';
import { findFree } from '../up/ports.js';
import { localAddress } from '../up/up.js';
import { Dev } from './dev.js';
import { readSpecs, type Specs } from './spec.js';
import { watchFolder } from './watch.js';

export interface DevFlags extends OutputOptions {
  port?: number;
  only?: string[];
}

/** `kiln dev`, from the first look at the folder to the last process gone. */
export async function runDev(session: Session, dir: string, options: DevFlags, firstPort: number): Promise<void> {
  const { terminal, config } = session;
  if (options.only !== undefined) requireKnown(await readProjects(dir), options.only);
  const read = () => readSpecs(dir, options.only);
  const specs = await read();
  for (const note of specs.notes) terminal.say(note);
  const instead = 'run it with kiln up and kiln deploy, or write one: kiln init';
  if (specs.functions.length === 0) throw new Failure(`${specs.root} holds no function that runs without Docker`, instead);
  const port = options.port ?? (await findFree(config.KILN_BIND, firstPort, { length: 1, taken: new Set() }));
  terminal.endsItself = true;
  const dev = await Dev.start({
    specs,
    read,
    environment: config.inherited,
    onLine: (name, line) =>
      printLine(terminal, options, { function: name, ...line }, () => `${name}  ${line.level.padEnd(5)} ${line.message}`),
    onCall: ({ function: name, method, path, status, ms }) =>
      terminal.say(`${name}  ${method} ${path || '/'} ${status} in ${duration(ms)}`),
    say: (line) => terminal.say(line),
  });
  try {
    await listen(dev.server, config.KILN_BIND, port);
    const onError = (error: Error) => terminal.say(`a folder can't be watched: ${error.message}`);
    const watcher = await watchFolder(specs.root, (paths) => void dev.onChange(paths), onError);
    announce(session, options, specs, port);
    if (!terminal.interrupted.aborted) await once(terminal.interrupted, 'abort');
    await watcher.close();
  } finally {
    await dev.stop();
  }
}

function announce({ terminal, config }: Session, options: OutputOptions, { functions }: Specs, port: number): void {
  const host = config.KILN_BIND === '127.0.0.1' ? 'localhost' : localAddress(config.KILN_BIND);
  const urls = functions.map(({ name }) => ({ name, url: `http://${host}:${port}/fn/${name}/` }));
  terminal.say(`\n${pairs(urls.map(({ name, url }) => [name, url]))}\n\nwatching for changes; Ctrl-C ends it`);
  if (formatOf(options, terminal) === 'json') printLine(terminal, options, { ready: true, port, functions: urls }, String);
}

/** @throws Failure where the port is taken */
function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      reject(new Failure(`cannot listen on ${host}:${port}: ${error.message}`, 'choose another: kiln dev --port <port>'));
    });
    server.listen(port, host, resolve);
  });
}
