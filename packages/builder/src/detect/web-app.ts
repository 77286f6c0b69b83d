import { dependsOn, type Manifest, printable, readManifest } from '../node/manifest.js';
import { nodeInstall } from '../node/node-install.js';
import { SITE_PLAN, siteDockerfile } from '../node/site.js';
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
      notes: [`found ${app.found}: building a page and serving its files`, ...install.notes],
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
  if (!isPage || startOf(manifest)?.command[0] === 'node') return undefined;
  // Relative links: the same files work on a host of their own and below a path.
  return {
    found: `vite in package.json, index.html and the script "build" (${printable(script)})`,
    build: 'npm run build --no-update-notifier -- --base=./ --outDir=/build --emptyOutDir',
  };
}

/** Its chunks load from the root; in the path form the router redirects them. */
function reactScriptsApp(folder: SourceFolder, manifest: Manifest): App | undefined {
  if (!dependsOn(manifest, 'react-scripts') || !folder.has('public/index.html') || manifest.scripts['build'] === undefined)
    return undefined;
  return {
    found: 'react-scripts in package.json and public/index.html',
    build: 'PUBLIC_URL=/ BUILD_PATH=/build CI=false npm run build --no-update-notifier',
  };
}
