import type { FunctionConfigInput } from '@kiln/contract/config/function-config';
import { KilnError } from '@kiln/contract/errors';
import { APP, COPY_SOURCES, SOURCES } from '../dockerfile/layout.js';
import type { SourceFolder } from '../source/source-folder.js';
import type { BuildPlan, Detector } from './detector.js';
import { readPythonRunner } from './python-runner.js';

const BASE_IMAGE = 'python:3.13-slim-trixie';
const REQUIREMENTS = 'requirements.txt';
const EVENT_MODULE = 'handler.py';
/** In this order; the module of a Django project is in the project's own folder. */
const APP_MODULES = [/^app\.py$/, /^wsgi\.py$/, /^asgi\.py$/, /^main\.py$/, /^application\.py$/, /^[A-Za-z_]\w*\/(wsgi|asgi)\.py$/];
const APP_NAMES = ['app', 'application'];
/** As any HTTP image: so many threads fit into the limits of an instance. */
const APP_CONCURRENCY = 100;
/** A path that is safe in a command and in an import. */
const MODULE_PATH = /^(?:\.\/)?(?:[A-Za-z_]\w*\/)*[A-Za-z_]\w*\.py$/;

/** A module with `handler(event)`, or with a WSGI or ASGI application. */
export const pythonDetector: Detector = {
  looksFor: ({ entry }) =>
    entry === undefined
      ? `Python: ${EVENT_MODULE} with handler(event), or app.py, wsgi.py, asgi.py or main.py with app or application`
      : `the Python module ${entry}`,
  async detect(folder, config) {
    const found = await findModule(folder, config);
    if (found === undefined) return undefined;
    const requirements = folder.has(REQUIREMENTS) ? await folder.readText(REQUIREMENTS) : undefined;
    return await planOf(folder, found, requirements);
  },
};

interface PythonModule {
  entry: string;
  handler: string;
}

async function findModule(folder: SourceFolder, { entry, handler }: FunctionConfigInput): Promise<PythonModule | undefined> {
  if (entry !== undefined) return await namedModule(folder, entry, handler);
  if (folder.has(EVENT_MODULE)) {
    const name = handler ?? definedIn(await folder.readText(EVENT_MODULE), ['handler']);
    if (name !== undefined) return { entry: EVENT_MODULE, handler: name };
  }
  for (const pattern of APP_MODULES) {
    for (const { path } of folder.files.filter((file) => pattern.test(file.path))) {
      const name = handler ?? definedIn(await folder.readText(path), APP_NAMES);
      if (name !== undefined) return { entry: path, handler: name };
    }
  }
  return undefined;
}

async function namedModule(folder: SourceFolder, entry: string, handler: string | undefined): Promise<PythonModule | undefined> {
  if (!entry.endsWith('.py')) return undefined;
  const path = entry.replace(/^\.\//, '');
  if (!MODULE_PATH.test(entry) || !folder.has(path)) return undefined;
  const name = handler ?? definedIn(await folder.readText(path), ['handler', ...APP_NAMES]);
  if (name !== undefined) return { entry: path, handler: name };
  throw new KilnError('bad_request', `handler: ${path} defines none of handler, app and application`, {
    fix: 'set "handler" in kiln.json',
    fields: [{ field: 'handler', message: 'is not known' }],
  });
}

/** The first of these names that a line of the module defines or imports. Does not see names that code makes at run time. */
export function definedIn(source: string, names: readonly string[]): string | undefined {
  const given = new Set(source.split('\n').flatMap(namesOf));
  return names.find((name) => given.has(name));
}

const DEFINED = /^(?:async[ \t]+def|def|class)[ \t]+(\w+)/;
const ASSIGNED = /^(\w+)[ \t]*(?::[^=]+)?=(?!=)/;
const IMPORTED = /^from[ \t].*?[ \t]import[ \t]/;

/** The names that one line of a module defines. The line is untrusted and of any length, so each expression reads it once. */
function namesOf(line: string): string[] {
  const defined = DEFINED.exec(line) ?? ASSIGNED.exec(line);
  if (defined !== null) return [defined[1] as string];
  const imported = IMPORTED.exec(line);
  if (imported === null) return [];
  const [list = ''] = line.slice(imported[0].length).split('#', 1);
  // `name as other` defines the last word.
  const parts = list.replace(/[()]/g, ' ').split(',');
  return parts.map(
    (part) =>
      part
        .trim()
        .split(/[ \t]+/)
        .at(-1) as string,
  );
}

async function planOf(folder: SourceFolder, { entry, handler }: PythonModule, requirements: string | undefined): Promise<BuildPlan> {
  const isApp = APP_NAMES.includes(handler.split('.').at(-1)!);
  const server = isApp ? ownServer(requirements ?? '', entry, handler) : undefined;
  const files = server === undefined ? await readPythonRunner() : undefined;
  const notes = [`found ${entry} with ${handler}${server === undefined ? '' : `, served by ${server.name}`}`];
  if (requirements === undefined && folder.has('pyproject.toml'))
    notes.push(`pyproject.toml is not read; name what it needs in ${REQUIREMENTS}`);
  return {
    kind: server === undefined ? 'python' : 'http',
    baseImages: [BASE_IMAGE],
    entry,
    handler,
    notes,
    config: isApp ? { concurrency: APP_CONCURRENCY } : {},
    files,
    dockerfile: () => dockerfile(requirements, server?.command),
  };
}

const SERVERS = [
  { name: 'uvicorn', listed: /^uvicorn\b/im, options: "--host 0.0.0.0 --port $PORT --forwarded-allow-ips='*' --no-access-log" },
  { name: 'gunicorn', listed: /^gunicorn\b/im, options: `--bind 0.0.0.0:$PORT --threads ${APP_CONCURRENCY} --forwarded-allow-ips='*'` },
];

/** The server in requirements.txt, which the author of the function wants to run. */
function ownServer(requirements: string, entry: string, handler: string): { name: string; command: string } | undefined {
  const target = `${entry.slice(0, -'.py'.length).replaceAll('/', '.')}:${handler}`;
  const server = SERVERS.find(({ listed }) => listed.test(requirements));
  if (server === undefined || !/^[\w.]+:[\w.]+$/.test(target)) return undefined;
  return { name: server.name, command: `exec python -m ${server.name} ${target} ${server.options}` };
}

function dockerfile(requirements: string | undefined, command: string | undefined): string[] {
  const isRunner = command === undefined;
  const early = requirements !== undefined && needsSources(requirements);
  const list = early ? COPY_SOURCES : `COPY ${SOURCES}/${REQUIREMENTS} ${APP}/`;
  const options = '--no-cache-dir --disable-pip-version-check --no-input --root-user-action=ignore --break-system-packages';
  return [
    `FROM ${BASE_IMAGE}`,
    'ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1',
    `WORKDIR ${APP}`,
    ...(isRunner ? ['COPY kiln/ /opt/kiln/'] : []),
    ...(requirements === undefined ? [] : [list, `RUN python -m pip install ${options} -r ${REQUIREMENTS}`]),
    ...(early ? [] : [COPY_SOURCES]),
    // An instance can write no files, so without this every cold start would compile again. A module that does not compile fails there.
    `RUN python -m compileall -q --invalidation-mode unchecked-hash ${isRunner ? `${APP} /opt/kiln` : APP} || true`,
    'USER 65532:65532',
    'ENTRYPOINT []',
    `CMD ${JSON.stringify(isRunner ? ['python', '/opt/kiln/runner.py'] : ['sh', '-c', command])}`,
  ];
}

/** Whether the install reads more files of the folder than the list itself. */
function needsSources(requirements: string): boolean {
  const reads = /^(-r|-c|-e|-f|--requirement|--constraint|--editable|--find-links|\.{0,2}\/)|\bfile:|\.(whl|tar\.gz|zip)\b/;
  return requirements.split('\n').some((line) => reads.test(line.trimStart()));
}
