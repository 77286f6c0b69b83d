import { parseEnv } from 'node:util';
import type { FunctionConfigInput } from '@kiln/contract/config/function-config';
import { KilnError } from '@kiln/contract/errors';
import { APP, COPY_SOURCES, SOURCES } from '../dockerfile/layout.js';
import { FACTORY_NAMES, factoryIn } from '../python/factories.js';
import { definedIn } from '../python/names.js';
import { type Application, choosePair, interfaceOf, listedServers, type OwnServer } from '../python/servers.js';
import type { SourceFolder } from '../source/source-folder.js';
import type { BuildPlan, Detector } from './detector.js';
import { readPythonRunner } from './python-runner.js';

const BASE_IMAGE = 'python:3.13-slim-trixie';
const REQUIREMENTS = 'requirements.txt';
const EVENT_MODULE = 'handler.py';
/** In this order; the module of a Django project is in the project's own folder. */
const APP_MODULES = [/^app\.py$/, /^wsgi\.py$/, /^asgi\.py$/, /^main\.py$/, /^application\.py$/, /^[A-Za-z_]\w*\/(wsgi|asgi)\.py$/];
const APP_NAMES = ['app', 'application'];
/** Where a package has its factory. */
const PACKAGE_MODULES = /^(?!tests?\/)[A-Za-z_]\w*\/(?:__init__|app|main|factory)\.py$/;
/** As any HTTP image: so many threads fit into the limits of an instance. */
const APP_CONCURRENCY = 100;
/** Modules that are read in search of a factory. */
const MAX_SEARCHED = 100;
/** A path that is safe in a command and in an import. */
const MODULE_PATH = /^(?:\.\/)?(?:[A-Za-z_]\w*\/)*[A-Za-z_]\w*\.py$/;

/** A module with `handler(event)`, with a WSGI or ASGI application, or with a factory of one. */
export const pythonDetector: Detector = {
  looksFor: async ({ entry }, folder) =>
    entry === undefined
      ? `Python: ${EVENT_MODULE} with handler(event), or app.py, wsgi.py, asgi.py or main.py with app or application${await nearly(folder)}`
      : `the Python module ${entry}`,
  async detect(folder, config) {
    const requirements = folder.has(REQUIREMENTS) ? await folder.readText(REQUIREMENTS) : undefined;
    const found = await findModules(folder, config);
    const [first] = found;
    if (first === undefined) return undefined;
    const pair = first.isApp ? choosePair(found, requirements ?? '', APP_CONCURRENCY) : undefined;
    const plan = await planOf(folder, pair?.application ?? first, requirements, pair?.server);
    return { ...plan, doubtful: config.entry === undefined && found.every(({ isGuess }) => isGuess) };
  },
};

interface PythonModule extends Application {
  isApp: boolean;
  /** Found below the root, where it may belong to another function of the repository. */
  isGuess: boolean;
}

/** All that may be meant, best first. */
async function findModules(folder: SourceFolder, { entry, handler, env }: FunctionConfigInput): Promise<PythonModule[]> {
  if (entry !== undefined) return await namedModule(folder, entry, handler);
  if (folder.has(EVENT_MODULE)) {
    const name = handler ?? definedIn(await folder.readText(EVENT_MODULE), ['handler']);
    if (name !== undefined) return [moduleOf(EVENT_MODULE, name, '')];
  }
  const found: PythonModule[] = [];
  for (const pattern of APP_MODULES) {
    for (const { path } of folder.files.filter((file) => pattern.test(file.path))) {
      const text = await folder.readText(path);
      const name = handler ?? definedIn(text, APP_NAMES);
      if (name !== undefined) found.push(moduleOf(path, name, text));
    }
  }
  const named = await flaskApp(folder, env?.['FLASK_APP']);
  // wsgi.py and asgi.py are for servers; FLASK_APP is for the author's machine, and better than a guess.
  if (named !== undefined && !found.some(({ entry }) => /(?:^|\/)[wa]sgi\.py$/.test(entry))) return [named, ...found];
  if (found.length > 0) return found;
  // Beside a page, a factory in some folder is a part of something else.
  const isPage = folder.has('index.html');
  const factories = (await factoriesIn(folder)).filter(({ fits, path }) => fits && !(isPage && path.includes('/')));
  const [only] = factories;
  return only === undefined || factories.length > 1
    ? []
    : [{ ...moduleOf(only.path, only.name, only.text), isGuess: only.path.includes('/') }];
}

function moduleOf(entry: string, handler: string, text: string): PythonModule {
  const last = handler.split('.').at(-1)!;
  const isFactory = FACTORY_NAMES.includes(last);
  return {
    entry,
    handler,
    isFactory,
    isApp: isFactory || APP_NAMES.includes(last),
    speaks: interfaceOf(entry, text, handler),
    isGuess: false,
  };
}

/** What FLASK_APP names: a module or a package, and after a colon what is in it. */
async function flaskApp(folder: SourceFolder, given: string | undefined): Promise<PythonModule | undefined> {
  const text = given === undefined && folder.has('.flaskenv') ? await folder.readText('.flaskenv') : '';
  const value = given ?? parseEnv(text)['FLASK_APP'];
  const [, where, what] = /^(?:\.\/)?([\w./]+?)(?:\.py)?(?::(\w+)(?:\(\))?)?$/.exec(value ?? '') ?? [];
  const base = where?.replaceAll('.', '/');
  const path = [`${base}.py`, `${base}/__init__.py`].find((each) => MODULE_PATH.test(each) && folder.has(each));
  if (path === undefined) return undefined;
  const source = await folder.readText(path);
  const factory = factoryIn(source);
  const name = definedIn(source, what === undefined ? APP_NAMES : [what]) ?? factory?.name;
  if (name === undefined || (what !== undefined && what !== name) || (name === factory?.name && !factory.fits)) return undefined;
  const found = moduleOf(path, name, source);
  // A function of any other name would be served as handler(event).
  return found.isApp ? found : undefined;
}

async function factoriesIn(folder: SourceFolder) {
  const paths = folder.files
    .map(({ path }) => path)
    .filter((path) => APP_MODULES.some((each) => each.test(path)) || PACKAGE_MODULES.test(path));
  const found = [];
  for (const path of paths.slice(0, MAX_SEARCHED)) {
    const text = await folder.readText(path);
    const factory = factoryIn(text);
    if (factory !== undefined) found.push({ path, text, ...factory });
  }
  return found;
}

/** For the error: factories that were seen, and what to write. */
async function nearly(folder: SourceFolder): Promise<string> {
  const seen = await factoriesIn(folder);
  const fitting = seen.filter(({ fits }) => fits);
  if (fitting.length > 1) {
    const names = fitting.map(({ path, name }) => `${name}() in ${path}`).join(' and ');
    return ` (there are ${names}: to choose one write "entry": "${fitting[0]!.path}" into kiln.json)`;
  }
  const [first] = seen;
  if (first === undefined) return '';
  const from = first.path
    .slice(0, -'.py'.length)
    .replace(/\/__init__$/, '')
    .replaceAll('/', '.');
  const lines = `"from ${from} import ${first.name}" and "app = ${first.name}(...)"`;
  return ` (${first.path} has ${first.name}, which needs arguments: write wsgi.py with the lines ${lines})`;
}

async function namedModule(folder: SourceFolder, entry: string, handler: string | undefined): Promise<PythonModule[]> {
  if (!entry.endsWith('.py')) return [];
  const path = entry.replace(/^\.\//, '');
  if (!MODULE_PATH.test(entry) || !folder.has(path)) return [];
  const text = await folder.readText(path);
  const factory = factoryIn(text);
  const name = handler ?? definedIn(text, ['handler', ...APP_NAMES]) ?? (factory?.fits ? factory.name : undefined);
  if (name !== undefined) return [moduleOf(path, name, text)];
  const seen = factory === undefined ? '' : `; its ${factory.name} needs arguments`;
  throw new KilnError('bad_request', `handler: ${path} defines none of handler, app and application${seen}`, {
    fix:
      factory === undefined ? 'set "handler" in kiln.json' : `write "app = ${factory.name}(...)" with its arguments at the end of ${path}`,
    fields: [{ field: 'handler', message: 'is not known' }],
  });
}

async function planOf(
  folder: SourceFolder,
  { entry, handler, isApp }: PythonModule,
  requirements: string | undefined,
  server: OwnServer | undefined,
): Promise<BuildPlan> {
  const files = server === undefined ? await readPythonRunner() : undefined;
  const listed = listedServers(requirements ?? '');
  const notes = [`found ${entry} with ${handler}${server === undefined ? '' : `, served by ${server.name}`}`];
  if (isApp && server === undefined && listed.length > 0)
    notes.push(`${listed.join(' and ')} of ${REQUIREMENTS} can not call it, so that Kiln's own server does`);
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
