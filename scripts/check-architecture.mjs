// Who may import whom: the rules are in .dependency-cruiser.cjs, and what it has no rule for in check/architecture.mjs.
import { execFileSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { faultsOf } from './check/architecture.mjs';

const texts = (pattern) => new Map(globSync(pattern).map((file) => [file, readFileSync(file, 'utf8')]));
const { modules, summary } = JSON.parse(
  execFileSync('node_modules/.bin/depcruise', ['--config', '.dependency-cruiser.cjs', '--output-type', 'json', 'apps', 'packages'], {
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'inherit'],
  }),
);
const files = texts('{apps,packages}/*/src/**/*.ts');
const code = globSync('{apps,packages,infra,e2e,bench,scripts}/**/*.{ts,tsx,mjs}', {
  exclude: (path) => /(^|\/)(node_modules|dist)$/.test(path),
});
const faults = [
  ...summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`),
  ...faultsOf({ files, modules, pages: texts('docs/**/*.md'), code }),
];
for (const fault of faults) console.error(fault);
console.log(`architecture: ${files.size} files, ${faults.length} faults`);
process.exitCode = faults.length > 0 ? 1 : 0;
