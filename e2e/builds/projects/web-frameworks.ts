import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { colourOf, widthOf } from '../../support/browser.js';
import { fixture } from '../../support/inside.js';
import type { RealProject } from '../project.js';

/** As `create-next-app` lays it out; its fonts are left out, which the build would fetch from Google. */
const NEXT: RealProject = {
  name: 'next-app',
  folder: fixture('next-app'),
  evidence: /found next in package\.json and the script "build" \(next build\): building its standalone server/,
  shows: /Hello from Next/,
  assets: [/\/next\.svg$/, /\/_next\/static\/.*\.css/, /\/_next\/static\/.*\.js/],
  // Pages of an app without a basePath are linked from the root: fetched ahead, and by path not found.
  vainByPath: /\/about\?_rsc=/,
  async look(page, { way, changed }) {
    expect(await colourOf(page, 'h1')).toBe('rgb(41, 42, 43)');
    expect(await widthOf(page, '#logo')).toBeGreaterThan(0);
    await page.getByRole('button').click();
    await page.getByRole('button', { name: 'count is 1' }).waitFor();
    if (way === 'path' && !changed) return;
    await page.locator('#about').click();
    await page.getByRole('heading', { name: 'About Next' }).waitFor();
  },
  files: {
    'next.config.mjs': 'export default { cacheComponents: true, basePath: process.env.BASE_PATH };\n',
    'app/page.js': readFileSync(`${fixture('next-app')}/app/page.js`, 'utf8')
      .replace('Hello from', 'Hello again from')
      // A picture is named whole where there is a basePath, as Next.js wants it.
      .replace('src="/next.svg"', 'src="/fn/next-app/next.svg"'),
  },
  showsThen: /Hello again from Next/,
};

/** As `create-react-app` lays it out; pnpm installs its 1,300 packages in two thirds of the time that npm takes. */
const REACT_SCRIPTS: RealProject = {
  name: 'cra-app',
  folder: fixture('cra-app'),
  nightly: true,
  evidence: /found react-scripts in package\.json and public\/index\.html: building a page and serving its files/,
  shows: /Hello from react-scripts\s*loaded later/,
  assets: [/\/static\/js\/main\.[^/]+\.js$/, /\/static\/js\/[^/]+\.chunk\.js$/, /\/static\/css\/main\.[^/]+\.css$/],
  async look(page) {
    expect(await colourOf(page, 'h1')).toBe('rgb(21, 22, 23)');
    expect(await widthOf(page, '#logo')).toBeGreaterThan(0);
  },
  files: { 'src/Later.js': 'export default function Later() {\n  return <p>changed</p>;\n}\n' },
  showsThen: /Hello from react-scripts\s*changed/,
};

export const FRAMEWORKS = [NEXT, REACT_SCRIPTS];
