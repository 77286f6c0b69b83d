/** How a server calls an application. */
export type Interface = 'wsgi' | 'asgi';

interface Server {
  name: string;
  /** Undefined where it finds out by itself. */
  speaks: Interface | undefined;
  /** The name of its package, alone on a line of requirements.txt. */
  listed: RegExp;
  command(target: string, isFactory: boolean): string | undefined;
}

/** Quoted for the shell where it has brackets. */
const called = (target: string, isFactory: boolean) => (isFactory ? `'${target}()'` : target);

/** In this order, where an application may be of both kinds. */
const serversFor = (threads: number): Server[] => [
  {
    name: 'uvicorn',
    speaks: 'asgi',
    listed: /^[ \t]*uvicorn(?:-worker)?(?![\w.-])/im,
    command: (target, isFactory) =>
      `uvicorn ${isFactory ? '--factory ' : ''}${target} --host 0.0.0.0 --port $PORT --forwarded-allow-ips='*' --no-access-log`,
  },
  {
    name: 'gunicorn',
    speaks: 'wsgi',
    listed: /^[ \t]*gunicorn(?![\w.-])/im,
    command: (target, isFactory) =>
      `gunicorn ${called(target, isFactory)} --bind 0.0.0.0:$PORT --threads ${threads} --forwarded-allow-ips='*'`,
  },
  {
    name: 'hypercorn',
    speaks: undefined,
    listed: /^[ \t]*hypercorn(?![\w.-])/im,
    command: (target, isFactory) => `hypercorn ${called(target, isFactory)} --bind 0.0.0.0:$PORT`,
  },
  {
    name: 'daphne',
    speaks: 'asgi',
    listed: /^[ \t]*daphne(?![\w.-])/im,
    command: (target, isFactory) => (isFactory ? undefined : `daphne -b 0.0.0.0 -p $PORT ${target}`),
  },
];

export interface Application {
  entry: string;
  handler: string;
  isFactory: boolean;
  /** Undefined where the text does not say it. */
  speaks: Interface | undefined;
}

export interface OwnServer {
  name: string;
  command: string;
}

/**
 * The first application that a server of requirements.txt can call, with that server. A server under an application of the other kind would
 * answer every request with 500.
 */
export function choosePair<A extends Application>(
  applications: readonly A[],
  requirements: string,
  threads: number,
): { application: A; server: OwnServer } | undefined {
  const servers = serversFor(threads).filter(({ listed }) => listed.test(requirements));
  for (const application of applications) {
    const { entry, handler, isFactory, speaks } = application;
    const target = `${moduleName(entry)}:${handler}`;
    if (!/^[\w.]+:[\w.]+$/.test(target)) continue;
    for (const server of servers) {
      const fits = speaks === undefined || server.speaks === undefined || speaks === server.speaks;
      const command = fits ? server.command(target, isFactory) : undefined;
      if (command !== undefined) return { application, server: { name: server.name, command: `exec python -m ${command}` } };
    }
  }
  return undefined;
}

/** The servers of requirements.txt by name. */
export function listedServers(requirements: string): string[] {
  return serversFor(1).flatMap(({ listed, name }) => (listed.test(requirements) ? [name] : []));
}

/** As Python imports it. */
function moduleName(entry: string): string {
  return entry
    .slice(0, -'.py'.length)
    .replace(/\/__init__$/, '')
    .replaceAll('/', '.');
}

const ASGI = /\b(?:FastAPI|Starlette|Quart|Litestar|WsgiToAsgi|get_asgi_application|ProtocolTypeRouter)\b/;
const WSGI = /\b(?:Flask|Bottle|get_wsgi_application|start_response)\b/;

/** By the name of the file, as Django has it, else by what its text names. */
export function interfaceOf(path: string, text: string, handler: string): Interface | undefined {
  const named = /(?:^|\/)(wsgi|asgi)\.py$/.exec(path)?.[1];
  if (named !== undefined) return named as Interface;
  const lines = text.split('\n');
  if (lines.some((line) => line.startsWith(`async def ${handler}(`))) return 'asgi';
  // Another application of the module may be made from it.
  const made = lines.find((line) => line.startsWith(handler) && /^\s*(?::[^=]*)?=/.test(line.slice(handler.length))) ?? '';
  return spokenIn(made) ?? spokenIn(text);
}

function spokenIn(text: string): Interface | undefined {
  if (ASGI.test(text)) return 'asgi';
  return WSGI.test(text) ? 'wsgi' : undefined;
}
