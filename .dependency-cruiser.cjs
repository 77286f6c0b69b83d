// The one way that imports run: apps > packages > contract; apps never meet; each framework has its own few places.
const WIRING =
  '(\\.module|\\.controller|\\.guard|\\.filter|\\.exception-filter)\\.ts$|/(main|application|router)\\.ts$|/control/|^packages/service/';
const TESTS = '\\.(test|fixture)\\.ts$';

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'nest-only-in-wiring',
      severity: 'error',
      from: { path: '^(apps|packages)/', pathNot: [WIRING, TESTS] },
      to: { path: 'node_modules/(@nestjs/|reflect-metadata|rxjs)' },
    },
    {
      name: 'docker-in-one-folder',
      severity: 'error',
      from: { path: '^(apps|packages)/', pathNot: ['^apps/agent/src/docker/', '^packages/(builder|engine|testing)/', TESTS] },
      to: { path: 'node_modules/(@types/)?dockerode' },
    },
    {
      name: 'redis-in-one-package',
      severity: 'error',
      from: { path: '^(apps|packages)/', pathNot: ['^packages/state/', TESTS] },
      to: { path: 'node_modules/ioredis' },
    },
    {
      name: 'domain-does-not-know-control',
      severity: 'error',
      from: { path: '^apps/(router|agent)/src/', pathNot: ['/control/', '\\.module\\.ts$', '/(main|application|router)\\.ts$', TESTS] },
      to: { path: '^apps/[^/]+/src/control/' },
    },
    {
      name: 'apps-do-not-meet',
      severity: 'error',
      from: { path: '^apps/([^/]+)/' },
      to: { path: '^apps/', pathNot: '^apps/$1/' },
    },
    {
      name: 'packages-do-not-import-apps',
      severity: 'error',
      from: { path: '^packages/' },
      to: { path: '^apps/' },
    },
    {
      name: 'contract-imports-nothing-of-ours',
      severity: 'error',
      from: { path: '^packages/contract/' },
      to: { path: '^(apps|packages)/', pathNot: '^packages/contract/' },
    },
    {
      name: 'testing-in-tests-only',
      severity: 'error',
      from: { path: '^(apps|packages)/', pathNot: ['^packages/testing/', TESTS] },
      to: { path: '^packages/testing/' },
    },
    {
      name: 'no-orphans',
      severity: 'error',
      from: {
        orphan: true,
        path: '^(apps|packages)/[^/]+/src/',
        pathNot: [TESTS, '\\.d\\.ts$', '/main\\.ts$'],
      },
      to: {},
    },
    { name: 'no-unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    parser: 'swc',
    tsPreCompilationDeps: true,
    doNotFollow: { path: ['node_modules', '/dist/'] },
    exclude: { path: '/fixtures/' },
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types', 'default'] },
  },
};
