import { KilnError } from '@kiln/contract/errors';
import { dependsOn, NODE_IMAGE, printable, readManifest } from '../node/manifest.js';
import { type NodeInstall, nodeInstall } from '../node/node-install.js';
import { SITE_PLAN, siteDockerfile } from '../node/site.js';
import type { SourceFolder } from '../source/source-folder.js';
import type { BuildPlan, Detector } from './detector.js';

const CONFIG_FILES = ['next.config.ts', 'next.config.mjs', 'next.config.js', 'next.config.cjs', 'next.config.mts'];
const BASE_PATH_FILE = 'kiln-base-path.cjs';

/** A Next.js app: its standalone server, or a site where the app is exported as files. */
export const nextDetector: Detector = {
  looksFor: () => 'a package.json with next and a "build" script',
  async detect(folder, { entry }) {
    const manifest = await readManifest(folder);
    if (entry !== undefined || manifest === undefined || !dependsOn(manifest, 'next')) return undefined;
    if (manifest.scripts['build'] === undefined) return undefined;
    const install = await nodeInstall(folder, manifest);
    const settings = await readSettings(folder);
    const why = `found next in package.json and the script "build" (${printable(manifest.scripts['build'])})`;
    return settings.isExport ? exportPlan(why, install) : serverPlan(why, install, settings);
  },
};

interface Settings {
  file: string | undefined;
  isExport: boolean;
  /** The configuration reads BASE_PATH: the app makes its pages and links for the path form. */
  asksForBasePath: boolean;
}

/** Reads the configuration as text, without running it. */
async function readSettings(folder: SourceFolder): Promise<Settings> {
  const file = CONFIG_FILES.find((name) => folder.has(name));
  const text = file === undefined ? '' : await folder.readStart(file);
  if (/\bdistDir\s*:/.test(text)) {
    const fix = `take distDir out of ${file}`;
    throw new KilnError('bad_request', `${file} sets distDir, and the build is looked for in .next`, { fix });
  }
  return { file, isExport: /\boutput\s*:\s*['"]export['"]/.test(text), asksForBasePath: /\bBASE_PATH\b/.test(text) };
}

function exportPlan(why: string, install: NodeInstall): BuildPlan {
  return {
    ...SITE_PLAN,
    notes: [`${why}, exported as files: serving those`, ...install.notes],
    dockerfile: ({ preparedImage }) =>
      siteDockerfile(preparedImage, {
        steps: [...install.steps(true), 'ENV NEXT_TELEMETRY_DISABLED=1', 'RUN npm run build --no-update-notifier'],
        folder: '/app/out',
        app: false,
      }),
  };
}

function serverPlan(why: string, install: NodeInstall, { file, asksForBasePath }: Settings): BuildPlan {
  const notes = [`${why}: building its standalone server`, ...install.notes];
  if (asksForBasePath) notes.push(`${file} asks for BASE_PATH: pages and links are made for it, and serve the host of its own too`);
  return {
    kind: 'http',
    baseImages: [NODE_IMAGE],
    notes,
    files: asksForBasePath ? new Map([[BASE_PATH_FILE, Buffer.from(BASE_PATH_SERVER)]]) : undefined,
    dockerfile: ({ functionName }) => dockerfile(install, functionName, asksForBasePath),
  };
}

/** The server writes its cache while it runs, and an image is read-only. */
const ASSEMBLE = [
  'cd .next/standalone',
  'mkdir -p ../../public .next',
  'cp -r ../../public .',
  'cp -r ../static .next/',
  'rm -rf .next/cache',
  'ln -s /tmp/next-cache .next/cache',
].join(' && ');
const NO_SERVER = 'echo "next build made no standalone server: next.config must leave output out, or set it to standalone"';

function dockerfile(install: NodeInstall, functionName: string, asksForBasePath: boolean): string[] {
  const basePath = `/fn/${functionName}`;
  const start = `mkdir -p /tmp/next-cache && exec node ${asksForBasePath ? `--require=/app/${BASE_PATH_FILE} ` : ''}server.js`;
  return [
    `FROM ${NODE_IMAGE} AS build`,
    'WORKDIR /app',
    ...install.steps(true),
    // The same as `output: 'standalone'` in next.config, without a change of that file.
    `ENV NEXT_PRIVATE_STANDALONE=1 NEXT_TELEMETRY_DISABLED=1 BASE_PATH=${basePath}`,
    'RUN npm run build --no-update-notifier',
    `RUN if [ ! -f .next/standalone/server.js ]; then ${NO_SERVER}; exit 1; fi; ${ASSEMBLE}`,
    `FROM ${NODE_IMAGE}`,
    'WORKDIR /app',
    'COPY --from=build /app/.next/standalone/ /app/',
    ...(asksForBasePath ? [`COPY ${BASE_PATH_FILE} /app/`, `ENV BASE_PATH=${basePath}`] : []),
    'ENV NODE_ENV=production NEXT_TELEMETRY_DISABLED=1 HOSTNAME=0.0.0.0',
    'USER 65532:65532',
    'ENTRYPOINT []',
    `CMD ${JSON.stringify(['sh', '-c', start])}`,
  ];
}

/** Adds the base path to each request: the router removes it from a request by path, and a request by host has none. */
const BASE_PATH_SERVER = `const http = require('node:http');
const base = process.env.BASE_PATH;
const emit = http.Server.prototype.emit;
http.Server.prototype.emit = function (event, request, ...rest) {
  if (event === 'request' || event === 'upgrade') {
    const [path] = request.url.split('?', 1);
    if (path !== base && !path.startsWith(base + '/')) request.url = base + (path === '/' ? request.url.slice(1) : request.url);
  }
  return emit.call(this, event, request, ...rest);
};
`;
