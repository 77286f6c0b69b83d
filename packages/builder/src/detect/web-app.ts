import { dependsOn, type Manifest, NODE_IMAGE, printable, readManifest } from '../node/manifest.js';
import { nodeInstall } from '../node/node-install.js';
import { SITE_CONFIG, type Site, siteDockerfile } from '../node/site.js';
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
      kind: 'runner',
      baseImages: [NODE_IMAGE],
      config: SITE_CONFIG,
      notes: [app.why, ...install.notes],
      dockerfile: ({ preparedImage, functionName }) =>
        siteDockerfile(preparedImage, {
          ...app.site,
          steps: [...install.steps(true), `ENV BASE_PATH=/fn/${functionName}`, ...app.site.steps],
        }),
    } satisfies BuildPlan;
  },
};

interface App {
  why: string;
  site: Site;
}

/** Only with an index.html and `vite build` as the last step: otherwise a framework builds something else. */
function viteApp(folder: SourceFolder, manifest: Manifest): App | undefined {
  const script = manifest.scripts['build'] ?? '';
  const isPage = dependsOn(manifest, 'vite') && folder.has('index.html') && /(^|&& *)(npx +)?vite build( [^&|;]*)?$/.test(script.trim());
  // A server of the project's own serves the page.
  if (!isPage || startOf(manifest)?.command[0] === 'node') return undefined;
  // Relative links: the same files work on a host of their own and below a path.
  const build = 'npm run build --no-update-notifier -- --base=./ --outDir=/build --emptyOutDir';
  return {
    why: `found vite in package.json, index.html and the script "build" (${printable(script)}): building a page and serving its files`,
    site: { steps: [`RUN ${build}`], folder: '/build', app: true, copied: '/app/public' },
  };
}

/** Its chunks load from the root; in the path form the router redirects them. */
function reactScriptsApp(folder: SourceFolder, manifest: Manifest): App | undefined {
  if (!dependsOn(manifest, 'react-scripts') || !folder.has('public/index.html') || manifest.scripts['build'] === undefined)
    return undefined;
  return {
    why: `found react-scripts in package.json and public/index.html: building a page and serving its files`,
    site: {
      steps: ['RUN PUBLIC_URL=/ BUILD_PATH=/build CI=false npm run build --no-update-notifier'],
      folder: '/build',
      app: true,
      copied: '/app/public',
    },
  };
}
