import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: {
    // Unit tests run on the sources, so that none passes on a stale build.
    alias: [
      {
        find: /^@kiln\/(contract|control|ring|forward|state|client|builder|registry|runner|project|secrets|testing|instances|engine|git-push)\/(.+)$/,
        replacement: `${import.meta.dirname}/packages/$1/src/$2.ts`,
      },
    ],
  },
  test: {
    include: ['{apps,packages}/*/src/**/*.test.ts', 'scripts/**/*.test.ts'],
    testTimeout: 60_000,
    // Much of their time they wait for an engine, a store or a clock.
    maxWorkers: 2,
    hookTimeout: 60_000,
    // A state is waited for however busy the machine is.
    expect: { poll: { timeout: 20_000 } },
  },
});
