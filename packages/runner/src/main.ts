import { writeSync } from 'node:fs';
import { RunnerDialIn } from './dial-in.js';
import type { FunctionExport } from './handler/exports.js';
import { Unanswered } from './handler/unanswered.js';
import { WorkEnd } from './handler/work-end.js';
import { LoadError, loadExports, ModuleFailure, requireExport } from './load/load.js';
import { serveLocally, serveOne } from './local.js';
import { consoleToAgent } from './log.js';
import { type RunnerOptions, readOptions, USAGE, UsageError } from './options.js';
import { createListener, createServer } from './server.js';

run().catch((error: unknown) => {
  process.stderr.write(`${failureText(error)}\n`);
  process.exit(error instanceof UsageError ? 2 : 1);
});

function failureText(error: unknown): string {
  if (error instanceof ModuleFailure) return error.message;
  if (error instanceof UsageError || error instanceof LoadError) return `kiln-runner: ${error.message}`;
  return (error as Error)?.stack ?? String(error);
}

async function run(): Promise<void> {
  const options = readOptions();
  if (options.mode === 'help') return console.info(USAGE);
  if (options.mode === 'describe') return describe(options.entry);
  if (options.mode === 'site') return void (await (await import('./site/make-site.js')).makeSite(options));
  if (options.mode === 'serve')
    return serveOne(requireExport(await loadExports(options.entry), options.handler, options.functionName), options.port);
  if (options.mode === 'local') return serveLocally(await loadExports(options.entry), options.port);
  await serveInstance(options);
}

/** Loads the module before the first connection, because that connection tells the agent that the instance is ready. */
async function serveInstance({ entry, handler, functionName, socketPath, concurrency }: RunnerOptions): Promise<void> {
  consoleToAgent();
  process.on('uncaughtException', crash);
  const target = requireExport(await loadExports(entry), handler, functionName);
  const unanswered = new Unanswered(concurrency);
  const listener = await createListener(target, unanswered.wait);
  const server = createServer(() => ({ target, listener }));
  // Connects first: the agent must know, before the first request, that this runner reports the end of work.
  const workEnd = new WorkEnd(socketPath, concurrency, unanswered);
  new RunnerDialIn(server, { socketPath, concurrency, workEnd, onUnreachable: () => process.exit(0) }).start();
}

/** Ends the process as Node would, but with one log line. A function with a listener of its own decides itself. */
function crash(error: Error): void {
  console.error('uncaught exception:', error);
  if (process.listenerCount('uncaughtException') === 1) process.exit(1);
}

/** Prints only the exports, as JSON: the module's own output goes to stderr. */
async function describe(entry: string): Promise<void> {
  process.stdout.write = process.stderr.write.bind(process.stderr) as typeof process.stdout.write;
  const exports = await loadExports(entry);
  const described = exports.map(({ name, kind, config }: FunctionExport) => ({ name, kind, config }));
  writeSync(1, `${JSON.stringify({ exports: described })}\n`);
  process.exit(0);
}
