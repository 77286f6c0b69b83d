import { parseArgs } from 'node:util';
import type { SiteOptions } from './site/make-site.js';

/** Inside a container: serve one handler to the agent that listens at `socketPath`. */
export interface RunnerOptions {
  mode: 'instance';
  entry: string;
  handler: string | undefined;
  functionName: string | undefined;
  socketPath: string;
  concurrency: number;
}

type Options =
  | RunnerOptions
  /** On a developer's machine: serve every export of a module. */
  | { mode: 'local'; entry: string; port: number }
  /** In a user's own image: serve one handler at `/`. */
  | { mode: 'serve'; entry: string; handler: string | undefined; functionName: string | undefined; port: number }
  /** In a build: make a site of a folder. */
  | ({ mode: 'site' } & SiteOptions)
  | { mode: 'describe'; entry: string }
  | { mode: 'help' };

/** A wrong option or variable; the message says what is allowed. */
export class UsageError extends Error {}

export const USAGE = `Usage: kiln-runner [--port PORT] [ENTRY]
       kiln-runner serve [--port PORT] [--handler NAME] [--function NAME] [ENTRY]
       kiln-runner describe [ENTRY]
       kiln-runner site FOLDER TARGET [--app] [--base PATH] [--copied FOLDER]

Serves every exported function of a module at /<export>, without Docker.
ENTRY is a module or a folder (default: the working folder).

  --port PORT  port to listen on (default: the variable PORT, else 3000; with serve 8080)
  --help       this text

serve serves one of them at /, as a deployed function is: a Dockerfile of one's own ends with it.

  --handler NAME   the export; without it the one named like the function, the default, or the only one
  --function NAME  the function's name

describe prints the exports as JSON.
site makes a folder of static files ready to be served: TARGET is then an ENTRY.

  --app            index.html answers every path that a page may have
  --base PATH      what stands in the files for the page's root
  --copied FOLDER  files that lie in FOLDER too keep their names when they change`;

/** @throws UsageError */
export function readOptions(argv: string[] = process.argv.slice(2), env: NodeJS.ProcessEnv = process.env): Options {
  const { values, positionals } = parseArguments(argv);
  const { help, port, app, base, copied, handler, function: functionName } = values;
  if (help) return { mode: 'help' };
  if (positionals[0] === 'site') return siteCommand(positionals.slice(1), { app, base, copied });
  const command = ['describe', 'serve'].find((name) => name === positionals[0]);
  const [argument, ...rest] = command === undefined ? positionals : positionals.slice(1);
  if (rest.length > 0) throw new UsageError(`one module at a time, not also ${rest.join(' ')}`);
  const entry = argument ?? (env['KILN_ENTRY'] || '.');
  if (command === 'describe') return { mode: 'describe', entry };
  // On a developer's machine the router listens on 8080.
  const listensOn = (usual: string) => wholeNumber('port', port ?? (env['PORT'] || usual), 0, 65_535);
  if (command === 'serve') return { mode: 'serve', entry, handler, functionName, port: listensOn('8080') };
  const socketPath = env['KILN_SOCKET'];
  if (!socketPath) return { mode: 'local', entry, port: listensOn('3000') };
  return {
    mode: 'instance',
    entry,
    handler: env['KILN_HANDLER'] || undefined,
    functionName: env['KILN_FUNCTION'] || undefined,
    socketPath,
    concurrency: wholeNumber('KILN_CONCURRENCY', env['KILN_CONCURRENCY'] || '1', 1, 10_000),
  };
}

function siteCommand([source, target, ...rest]: string[], options: Omit<SiteOptions, 'source' | 'target'>): Options {
  if (source === undefined || target === undefined || rest.length > 0) throw new UsageError('site takes a folder and a target');
  return { mode: 'site', source, target, ...options };
}

const OPTIONS = {
  help: { type: 'boolean', short: 'h', default: false },
  port: { type: 'string', short: 'p' },
  app: { type: 'boolean', default: false },
  base: { type: 'string' },
  copied: { type: 'string' },
  handler: { type: 'string' },
  function: { type: 'string' },
} as const;

function parseArguments(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function wholeNumber(name: string, text: string, min: number, max: number): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= min && number <= max) return number;
  throw new UsageError(`${name} is ${JSON.stringify(text)}: must be a whole number from ${min} to ${max}`);
}
