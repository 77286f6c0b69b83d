import type { FunctionConfigInput } from '@kiln/contract/config/function-config';
import { SITE_LIST } from '@kiln/runner/site/site-list';
import { SOURCES } from '../dockerfile/layout.js';

/** A runner that only sends files has many requests in hand at a time. */
export const SITE_CONFIG: FunctionConfigInput = { entry: SITE_LIST, concurrency: 100 };

export interface Site {
  /** Builds the site; none where the folder is the site. */
  steps: string[];
  /** Where it lies then: an absolute path in the build. */
  folder: string;
  app: boolean;
  /** Folder whose files keep their names when they change. */
  copied?: string;
}

/** The image holds the site and its list, nothing of what made them. */
export function siteDockerfile(runnerImage: string, { steps, folder, app, copied }: Site): string {
  const options = [...(app ? ['--app'] : []), ...(copied === undefined ? [] : ['--copied', copied])];
  const make = ['node', '/opt/kiln/runner.mjs', 'site', folder, '/site', ...options];
  const lines = [
    `FROM ${runnerImage} AS build`,
    'USER root',
    ...(steps.length === 0 ? [`COPY ${SOURCES}/ /app/`] : steps),
    `RUN ${JSON.stringify(make)}`,
    `FROM ${runnerImage}`,
    'COPY --from=build /site/ /app/',
  ];
  return `${lines.join('\n')}\n`;
}
