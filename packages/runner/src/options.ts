import { parseArgs } from 'node:util';

/** Inside a container: serve one handler to the agent that listens at `socketPath`. */
export interface InstanceOptions {
  mode: 'instance';
  entry: string;
  handler: string | undefined;
  functionName: string | undefined;
  socketPath: string;
  concurrency: number;
}

/** On a developer's machine: serve every export of a module. */
export interface LocalOptions {
  mode: 'local';
  entry: string;
  port: number;
}

/** In a build: make a folder ready to be served. */
export interface SiteCommand {
  mode: 'site';
  source: string;
  target: string;
  app: boolean;
  copied: string | undefined;
}

export type Options = InstanceOptions | LocalOptions | SiteCommand | { mode: 'describe'; entry: string } | { mode: 'help' };

/** The command line or a variable is wrong; the message says what is allowed. */
export class UsageError extends Error {}

export const USAGE = `Usage: kiln-runner [--port PORT] [ENTRY]
       kiln-runner describe [ENTRY]
       kiln-runner site FOLDER TARGET [--app] [--copied FOLDER]

Serves every exported function of a module at /<export>, without Docker.
ENTRY is a module or a folder (default: the working folder).

  --port PORT  port to listen on (default: the variable PORT, else 8080)
  --help       this text

describe prints the exports as JSON.
site makes a folder of static files ready to be served: TARGET is then an ENTRY.

  --app            index.html answers every path that a page may have
  --copied FOLDER  files that lie in FOLDER too keep their names when they change`;

/** @throws UsageError */
export function readOptions(argv: string[] = process.argv.slice(2), env: NodeJS.ProcessEnv = process.env): Options {
  const { help, port, app, copied, positionals } = parseArguments(argv);
  if (help) return { mode: 'help' };
  if (positionals[0] === 'site') return siteCommand(positionals.slice(1), app, copied);
  const describe = positionals[0] === 'describe';
  const [argument, ...rest] = describe ? positionals.slice(1) : positionals;
  if (rest.length > 0) throw new UsageError(`one module at a time, not also ${rest.join(' ')}`);
  const entry = argument ?? (env['KILN_ENTRY'] || '.');
  if (describe) return { mode: 'describe', entry };
  const socketPath = env['KILN_SOCKET'];
  if (!socketPath) return { mode: 'local', entry, port: wholeNumber('port', port ?? (env['PORT'] || '8080'), 0, 65_535) };
  return {
    mode: 'instance',
    entry,
    handler: env['KILN_HANDLER'] || undefined,
    functionName: env['KILN_FUNCTION'] || undefined,
    socketPath,
    concurrency: wholeNumber('KILN_CONCURRENCY', env['KILN_CONCURRENCY'] || '1', 1, 10_000),
  };
}

function siteCommand([source, target, ...rest]: string[], app: boolean, copied: string | undefined): SiteCommand {
  if (source === undefined || target === undefined || rest.length > 0) throw new UsageError('site takes a folder and a target');
  return { mode: 'site', source, target, app, copied };
}

interface Arguments {
  help: boolean;
  port: string | undefined;
  app: boolean;
  copied: string | undefined;
  positionals: string[];
}

function parseArguments(argv: string[]): Arguments {
  try {
    const options = {
      help: { type: 'boolean', short: 'h' },
      port: { type: 'string', short: 'p' },
      app: { type: 'boolean' },
      copied: { type: 'string' },
    } as const;
    const { values, positionals } = parseArgs({ args: argv, options, allowPositionals: true });
    return { help: values.help ?? false, port: values.port, app: values.app ?? false, copied: values.copied, positionals };
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function wholeNumber(name: string, text: string, min: number, max: number): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= min && number <= max) return number;
  throw new UsageError(`${name} is ${JSON.stringify(text)}: must be a whole number from ${min} to ${max}`);
}
