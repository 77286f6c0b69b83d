import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { there } from './there.js';

const ROOT = join(import.meta.dirname, '..');

/** Files that ask what is answered, not when: two of them may share the machine. */
const TOGETHER = there(
  [
    'action',
    'bodies',
    'build-secrets',
    'cli',
    'coming-from',
    'deploy-changed',
    'dev',
    'escapes',
    'functions',
    'git',
    'http',
    'isolation',
    'keys',
    'languages',
    'node-servers',
    'python-apps',
    'retention',
    'secrets',
    'through-registry',
    'uploads',
    'validation',
    'warm',
    'web-apps',
    'web-frameworks',
  ].map((name) => `e2e/${name}.test.ts`),
);

const shared = {
  root: ROOT,
  resolve: { alias: [{ find: /^@kiln\/(contract|client|testing)\/(.+)$/, replacement: `${ROOT}/packages/$1/src/$2.ts` }] },
};
const bounds = { testTimeout: 90_000, hookTimeout: 240_000, teardownTimeout: 60_000, expect: { poll: { timeout: 20_000 } } };

/** Whole-platform tests: real processes from `dist`. */
export default defineConfig({
  root: ROOT,
  test: {
    projects: [
      { ...shared, test: { ...bounds, name: 'together', include: TOGETHER, maxWorkers: 2, sequence: { groupOrder: 0 } } },
      // One file at a time: what is measured here must not be another file's load, nor a kill hit another's processes.
      {
        ...shared,
        test: {
          ...bounds,
          name: 'alone',
          include: ['e2e/*.test.ts'],
          exclude: TOGETHER,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
