import { configDefaults, defineConfig } from 'vitest/config';

const TESTS = ['{apps,packages}/*/src/**/*.test.ts', 'scripts/**/*.test.ts'];
const ON_AN_ENGINE = TESTS.map((pattern) => pattern.replace('.test.ts', '.engine.test.ts'));

export default defineConfig({
  resolve: {
    // Unit tests run on the sources, so that none passes on a stale build.
    alias: [
      {
        find: /^@kiln\/(contract|service|ring|forward|state|client|builder|registry|runner|project|secrets|testing|instances|engine|git-push)\/(.+)$/,
        replacement: `${import.meta.dirname}/packages/$1/src/$2.ts`,
      },
    ],
  },
  test: {
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // A state is waited for however busy the machine is.
    expect: { poll: { timeout: 20_000 } },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: TESTS,
          exclude: [...configDefaults.exclude, ...ON_AN_ENGINE],
          // A test that needs an engine fails here, so its name says so: `*.engine.test.ts`.
          env: { DOCKER_HOST: 'unix:///there-is-no-engine' },
          // Much of their time they wait for a store, a process or a clock.
          maxWorkers: 3,
          sequence: { groupOrder: 0 },
        },
      },
      { extends: true, test: { name: 'engine', include: ON_AN_ENGINE, maxWorkers: 3, sequence: { groupOrder: 1 } } },
    ],
  },
});
