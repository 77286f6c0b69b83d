import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

const ROOT = join(import.meta.dirname, '..');

/** Whole-platform tests: real processes from `dist`, one file at a time, so that none measures another's load. */
export default defineConfig({
  root: ROOT,
  resolve: {
    alias: [{ find: /^@kiln\/(contract|client|testing)\/(.+)$/, replacement: `${ROOT}/packages/$1/src/$2.ts` }],
  },
  test: {
    include: ['e2e/*.test.ts'],
    fileParallelism: false,
    testTimeout: 90_000,
    hookTimeout: 240_000,
    teardownTimeout: 60_000,
  },
});
