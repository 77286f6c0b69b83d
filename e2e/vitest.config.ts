import { join } from 'node:path';
import { configDefaults, defineConfig } from 'vitest/config';
import { there } from './support/there.js';

const ROOT = join(import.meta.dirname, '..');

const files = (names: readonly string[]) => there(names.map((name) => `e2e/${name}.test.ts`));

/** Files that build much and ask what is answered, not when: two of them may share the machine. */
const TOGETHER = files([
  'builds/build-secrets',
  'builds/coming-from',
  'builds/every-detector',
  'builds/functions',
  'builds/languages',
  'builds/node-servers',
  'builds/python-apps',
  'builds/web-apps',
  'builds/web-frameworks',
  'calls/bodies',
  'calls/http',
  'calls/warm',
  'cli/cli',
  'cli/dev',
  'deploys/action',
  'deploys/deploy-changed',
  'deploys/git',
  'deploys/retention',
  'deploys/through-registry',
  'security/escapes',
  'security/isolation',
  'security/keys',
  'security/secrets',
  'security/uploads',
  'security/validation',
]);

/** Files that mostly wait, for a limit, a process that was killed, or an instance that ends: their bounds are seconds. */
const WAITING = files([
  'builds/build',
  'calls/homes',
  'deploys/stages',
  'faults/broken-answers',
  'faults/failures',
  'faults/faults',
  'faults/lost-deployments',
  'security/master-key',
  'security/network',
]);

const shared = {
  root: ROOT,
  resolve: { alias: [{ find: /^@kiln\/(builder|contract|client|testing)\/(.+)$/, replacement: `${ROOT}/packages/$1/src/$2.ts` }] },
};
const bounds = { testTimeout: 90_000, hookTimeout: 240_000, teardownTimeout: 60_000, expect: { poll: { timeout: 20_000 } } };

/** Whole-platform tests: real processes from `dist`. */
export default defineConfig({
  root: ROOT,
  test: {
    projects: [
      { ...shared, test: { ...bounds, name: 'together', include: TOGETHER, maxWorkers: 2, sequence: { groupOrder: 0 } } },
      { ...shared, test: { ...bounds, name: 'waiting', include: WAITING, maxWorkers: 2, sequence: { groupOrder: 1 } } },
      // One file at a time: what is measured here must not be another file's load, nor a kill hit another's processes.
      {
        ...shared,
        test: {
          ...bounds,
          name: 'alone',
          include: ['e2e/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...TOGETHER, ...WAITING],
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
