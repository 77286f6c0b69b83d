// Who may import whom: the rules are in .dependency-cruiser.cjs. A checker that silently looked at nothing would pass
// everything, so the count of modules it saw is held against the count of files there are.
import { execFileSync } from 'node:child_process';
import { globSync } from 'node:fs';

const FOLDERS = ['apps', 'packages'];
const output = execFileSync(
  'node_modules/.bin/depcruise',
  [
    '--config',
    '.dependency-cruiser.cjs',
    '--output-type',
    'json',
    ...FOLDERS.filter((folder) => globSync(`${folder}/*/src/**/*.ts`).length > 0),
  ],
  { encoding: 'utf8', maxBuffer: 256 * 1024 * 1024, stdio: ['ignore', 'pipe', 'inherit'] },
);
const { modules, summary } = JSON.parse(output);
const seen = modules.filter((module) => /^(apps|packages)\/[^/]+\/src\/.*\.ts$/.test(module.source) && module.dependencies.length > 0);
const files = FOLDERS.flatMap((folder) => globSync(`${folder}/*/src/**/*.ts`));

for (const violation of summary.violations) console.error(`${violation.rule.name}: ${violation.from} -> ${violation.to}`);
const expected = Math.floor(files.length * 0.7);
if (seen.length < expected)
  console.error(`only ${seen.length} of ${files.length} files were seen to import anything: the checker is blind`);
console.log(`architecture: ${files.length} files, ${seen.length} with imports, ${summary.violations.length} violations`);
process.exitCode = summary.violations.length > 0 || seen.length < expected ? 1 : 0;
