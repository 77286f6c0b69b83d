import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { there } from './support/there.js';

const ROOT = join(import.meta.dirname, '..');

const bounds = { testTimeout: 120_000, hookTimeout: 300_000, teardownTimeout: 60_000, expect: { poll: { timeout: 30_000 } } };

/** What depends on the kind of engine: run beside another one than the machine's by `scripts/second-engine.mjs`. */
export default defineConfig({
  root: ROOT,
  test: {
    projects: [
      {
        root: ROOT,
        resolve: {
          alias: [
            {
              find: /^@kiln\/(contract|service|ring|forward|state|client|builder|registry|runner|project|secrets|testing|instances|engine|git-push)\/(.+)$/,
              replacement: `${ROOT}/packages/$1/src/$2.ts`,
            },
          ],
        },
        test: {
          ...bounds,
          name: 'engine: parts',
          include: there([
            // Build, push, pull and collection
            'packages/builder/src/engine/registry.engine.test.ts',
            'packages/builder/src/steps.engine.test.ts',
            'packages/builder/src/check-base.engine.test.ts',
            'apps/agent/src/docker/images/docker-images.engine.test.ts',
            'apps/agent/src/images/collect-images.engine.test.ts',
            // Start, kill, logs, network and its rules
            'apps/agent/src/docker/driver-conformance.engine.test.ts',
            'apps/agent/src/docker/docker-driver.engine.test.ts',
            'apps/agent/src/docker/network.engine.test.ts',
            'apps/agent/src/docker/rules/host-rules.engine.test.ts',
            'apps/agent/src/invoke/crash.engine.test.ts',
          ]),
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        root: ROOT,
        resolve: { alias: [{ find: /^@kiln\/(contract|client|testing)\/(.+)$/, replacement: `${ROOT}/packages/$1/src/$2.ts` }] },
        test: {
          ...bounds,
          name: 'engine: platform',
          include: there(
            ['deploys/through-registry', 'security/isolation', 'calls/timeout', 'calls/idle'].map((name) => `e2e/${name}.test.ts`),
          ),
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
