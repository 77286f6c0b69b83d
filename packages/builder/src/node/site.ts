import type { FunctionConfigInput } from '@kiln/contract/config/function-config';
import { SITE_LIST } from '@kiln/runner/site/site-list';
import { SOURCES } from '../dockerfile/layout.js';

/** A runner that only sends files can serve many requests at a time. */
export const SITE_CONFIG: FunctionConfigInput = { entry: SITE_LIST, concurrency: 100 };

export interface Site {
  /** Steps that build the site; none where the folder is the site. */
  steps: string[];
  /** Absolute path of the site in the build. */
  folder: string;
  app: boolean;
  /** Folder of files whose names stay the same when their content changes. */
  copied?: string;
}

/** The image holds the site and its list, without the tools that made them. */
export function siteDockerfile(runnerImage: string, { steps, folder, app, copied }: Site): string[] {
  const options = [...(app ? ['--app'] : []), ...(copied === undefined ? [] : ['--copied', copied])];
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
