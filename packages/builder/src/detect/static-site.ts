import { PACKAGE_JSON } from '../node/manifest.js';
import { SITE_PLAN, siteDockerfile } from '../node/site.js';
import type { BuildPlan, Detector } from './detector.js';

const FOLDERS = ['', 'public/'];

/** A folder of files with an index.html and no package.json; scripts in it are the page's. */
export const staticSiteDetector: Detector = {
  looksFor: () => 'an index.html',
  async detect(folder, { entry }) {
    if (entry !== undefined || folder.has(PACKAGE_JSON)) return undefined;
    const below = FOLDERS.find((path) => folder.has(`${path}index.html`));
    if (below === undefined) return undefined;
    return {
      ...SITE_PLAN,
      notes: [`found ${below}index.html and no package.json: serving the files as they are`],
      dockerfile: ({ preparedImage }) => siteDockerfile(preparedImage, { steps: [], folder: `/app/${below}`, app: false }),
    } satisfies BuildPlan;
  },
};
