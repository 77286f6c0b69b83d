import { SITE_LIST } from '@kiln/runner/site/site-list';
import { APP, SOURCES } from '../dockerfile/layout.js';
import { NODE_IMAGE } from './manifest.js';

/**
 * Stands for a page's root in what a bundler builds: the same files work on a host of their own, where it is nothing, and below a
 * path. A path relative to the page would lead astray wherever the page's own code has another path than its root.
 */
export const PAGE_BASE = '/__kiln_base__';

/** What the plans of all sites have in common. A runner that only sends files can serve many requests at a time. */
export const SITE_PLAN = { kind: 'runner' as const, baseImages: [NODE_IMAGE], config: { entry: SITE_LIST, concurrency: 100 } };

interface Site {
  /** Steps that build the site; none where the folder is the site. */
  steps: string[];
  /** Absolute path of the site in the build. */
  folder: string;
  /** A single-page app: the files in its folder `public` keep their names when their content changes. */
  app: boolean;
}

/** The image holds the site and its list, without the tools that made them. */
export function siteDockerfile(runnerImage: string, { steps, folder, app }: Site): string[] {
  const options = app ? ['--app', '--base', PAGE_BASE, '--copied', `${APP}/public`] : [];
  const make = ['node', '/opt/kiln/runner.mjs', 'site', folder, '/site', ...options];
  return [
    `FROM ${runnerImage} AS build`,
    'USER root',
    ...(steps.length === 0 ? [`COPY ${SOURCES}/ /app/`] : steps),
    `RUN ${JSON.stringify(make)}`,
    `FROM ${runnerImage}`,
    'COPY --from=build /site/ /app/',
  ];
}
