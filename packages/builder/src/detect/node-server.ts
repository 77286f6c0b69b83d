import type { FunctionConfigInput } from '@kiln/contract/config/function-config';
import { type ModuleTraits, traitsOf } from '../node/entry-text.js';
import { dependsOn, type Manifest, moduleOf, NODE_IMAGE, readManifest } from '../node/manifest.js';
import { type NodeInstall, nodeInstall } from '../node/node-install.js';
import { isPageScript } from '../node/page-script.js';
import { type Start, startOf } from '../node/start-command.js';
import type { SourceFolder } from '../source/source-folder.js';
import type { BuildPlan, Detector } from './detector.js';

const NAMES = ['server', 'app', 'src/index', 'src/server', 'src/app', 'src/main', 'index'];
const USUAL_MODULES = NAMES.flatMap((name) => ['.js', '.mjs', '.cjs', '.ts', '.mts'].map((extension) => name + extension));
const FRAMEWORKS = ['@nestjs/core', 'express', 'fastify', 'koa', 'hono', '@hapi/hapi', 'restify', 'polka', 'h3'];

/** A Node program that listens on a port itself: Express, Fastify, Koa, Hono, Nest or plain Node. */
export const nodeServerDetector: Detector = {
  looksFor: () => 'a "start" script in package.json, or a module that listens on a port',
  async detect(folder, config) {
    // A module or an export that kiln.json names is a function.
    if (config.entry !== undefined || config.handler !== undefined) return undefined;
    const manifest = await readManifest(folder);
    const server = await serverOf(folder, manifest);
    if (server === undefined) return undefined;
    const install = await nodeInstall(folder, manifest);
    const build = server.start.build ?? (manifest?.scripts['build'] === undefined ? undefined : 'build');
    return {
      kind: 'http',
      baseImages: [NODE_IMAGE],
      config: portOf(server, config),
      doubtful: manifest?.hasWorkspaces === true || server.start.file === undefined,
      notes: [
        ...serverNotes(server, manifest, config),
        ...install.notes,
        ...(build === undefined ? [] : [`found the script "${build}": running it`]),
      ],
      dockerfile: ({ functionName }) => dockerfile(install, server, build, functionName),
    } satisfies BuildPlan;
  },
};

interface Server {
  start: Start;
  /** Whose traits these are: the module that the start runs, or else the usual one. */
  module: string | undefined;
  traits: ModuleTraits | undefined;
}

/** A module with exports is a function, unless it also listens and a `start` script runs it, or builds something else from it. */
async function serverOf(folder: SourceFolder, manifest: Manifest | undefined): Promise<Server | undefined> {
  const start = startOf(manifest);
  const startsFile = start?.file !== undefined && folder.has(start.file) ? start.file : undefined;
  const module = startsFile ?? (await moduleOf(folder)) ?? USUAL_MODULES.find((path) => folder.has(path));
  const traits = module === undefined ? undefined : traitsOf(await folder.readStart(module));
  if (start?.serves || start?.build !== undefined) return { start, module, traits };
  if (start !== undefined) return traits?.exports === true && !traits.listens ? undefined : { start, module, traits };
  if (module === undefined || traits === undefined || traits.exports || !traits.listens) return undefined;
  if (await isPageScript(folder, module)) return undefined;
  const why = `${module} listens on a port`;
  const own: Start = { command: ['node', module], why, file: module, needsTools: false, serves: false, build: undefined, port: undefined };
  return { start: own, module, traits };
}

/** A program that asks for no PORT does not hear what its script says of it, either. */
function portOf({ start, traits }: Server, { port }: FunctionConfigInput): FunctionConfigInput {
  const found = (start.file === undefined ? undefined : traits?.fixedPort) ?? start.port ?? traits?.fixedPort;
  return found === undefined || port !== undefined ? {} : { port: found };
}

function serverNotes(server: Server, manifest: Manifest | undefined, config: FunctionConfigInput): string[] {
  const { start, module, traits } = server;
  const framework = manifest && FRAMEWORKS.find((name) => dependsOn(manifest, name));
  const notes = [`found a Node server${framework === undefined ? '' : ` (${framework})`}: ${start.why}`];
  const { port } = portOf(server, config);
  if (port !== undefined && port === traits?.fixedPort) notes.push(`${module} listens on ${port} and asks for no PORT: requests go there`);
  else if (port !== undefined) notes.push(`the script says port ${port}: requests go there`);
  if (traits?.localOnly && !start.serves) notes.push(`warning: Fastify listens on localhost only unless it is told host: '0.0.0.0'`);
  return notes;
}

function dockerfile(install: NodeInstall, { start }: Server, build: string | undefined, functionName: string): string[] {
  const builds = build !== undefined;
  const setup = [`FROM ${NODE_IMAGE}${builds ? ' AS build' : ''}`, 'WORKDIR /app', ...install.steps(builds || start.needsTools)];
  const built = [
    `ENV BASE_PATH=/fn/${functionName}`,
    `RUN npm run ${build} --no-update-notifier`,
    ...(start.needsTools ? [] : install.prune),
    `FROM ${NODE_IMAGE}`,
    'WORKDIR /app',
    'COPY --from=build /app /app',
  ];
  const run = [
    'ENV NODE_ENV=production HOST=0.0.0.0 PATH=/app/node_modules/.bin:$PATH',
    'USER 65532:65532',
    'ENTRYPOINT []',
    `CMD ${JSON.stringify(start.command)}`,
  ];
  return [...setup, ...(builds ? built : []), ...run];
}
