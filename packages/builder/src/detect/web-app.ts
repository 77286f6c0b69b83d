import { dependsOn, type Manifest, printable, readManifest } from '../node/manifest.js';
import { nodeInstall } from '../node/node-install.js';
import { PAGE_BASE, SITE_PLAN, siteDockerfile } from '../node/site.js';
import { startOf } from '../node/start-command.js';
import type { SourceFolder } from '../source/source-folder.js';
import type { BuildPlan, Detector } from './detector.js';

/** A single-page app that Vite or Create React App builds. */
export const webAppDetector: Detector = {
  looksFor: () => 'a package.json with vite or react-scripts and a "build" script',
  async detect(folder, { entry }) {
    const manifest = await readManifest(folder);
    if (entry !== undefined || manifest === undefined) return undefined;
    const app = viteApp(folder, manifest) ?? reactScriptsApp(folder, manifest);
    if (app === undefined) return undefined;
    const install = await nodeInstall(folder, manifest);
    return {
      ...SITE_PLAN,
      notes: [`found ${app.found}: building a page and serving its files`, ...(await ownBase(folder)), ...install.notes],
      dockerfile: ({ preparedImage, functionName }) => {
        const steps = [...install.steps(true), `ENV BASE_PATH=/fn/${functionName}`, `RUN ${app.build}`];
        return siteDockerfile(preparedImage, { steps, folder: '/build', app: true });
      },
    } satisfies BuildPlan;
  },
};

interface App {
  found: string;
  /** The command that builds the page into `/build`. */
  build: string;
}

/** Only with an index.html and `vite build` as the last step: otherwise a framework builds something else. */
function viteApp(folder: SourceFolder, manifest: Manifest): App | undefined {
  const script = manifest.scripts['build'] ?? '';
  const isPage = dependsOn(manifest, 'vite') && folder.has('index.html') && /(^|&& *)(npx +)?vite build( [^&|;]*)?$/.test(script.trim());
  // A server of the project's own serves the page.
  if (!isPage || startOf(manifest)?.file !== undefined) return undefined;
  return {
    found: `vite in package.json, index.html and the script "build" (${printable(script)})`,
    build: `npm run build --no-update-notifier -- --base=${PAGE_BASE}/ --outDir=/build --emptyOutDir`,
  };
}

function reactScriptsApp(folder: SourceFolder, manifest: Manifest): App | undefined {
  if (!dependsOn(manifest, 'react-scripts') || !folder.has('public/index.html') || manifest.scripts['build'] === undefined)
    return undefined;
  return {
    found: 'react-scripts in package.json and public/index.html',
    build: `PUBLIC_URL=${PAGE_BASE} BUILD_PATH=/build CI=false npm run build --no-update-notifier`,
  };
}

/** A page is at the root of a host of its own, and below `/fn/<name>` by path: it has no other place. */
async function ownBase(folder: SourceFolder): Promise<string[]> {
  const config = ['js', 'mjs', 'ts', 'mts', 'cjs', 'cts'].map((ending) => `vite.config.${ending}`).find((path) => folder.has(path));
  if (config === undefined || !setsBase(await folder.readStart(config))) return [];
  return [`"base" of ${config} is replaced: the page is at the root of its host, and below its path by path`];
}

/** Whether the text of a configuration of Vite gives a `base`. */
export function setsBase(text: string): boolean {
  return /(?:^|[{,])[ \t]*base[ \t]*:/m.test(text);
}
