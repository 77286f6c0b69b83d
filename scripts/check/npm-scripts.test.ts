import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const { scripts } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')) as {
  scripts: Record<string, string>;
};

it.each(Object.entries(scripts))('npm run %s runs on the Node that this brings, whatever Node npm has', (_name, script) => {
  // These four start the tools' Node; any other program would run on the one that npm found.
  expect(script).toMatch(/^node scripts\/(start|test|check|with-tools)\.mjs( |$)/);
});
