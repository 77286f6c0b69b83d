// Builds another version of Kiln in a folder of its own, for tests of two versions in one cluster: `node scripts/older-build.mjs <commit>`.
// Prints the folder. What it builds stays: the next run finds it.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { main, run } from './setup.mjs';
import { ROOT } from './tools.mjs';

await main(async () => {
  const [commit] = process.argv.slice(2);
  if (commit === undefined) throw new Error('name a commit: node scripts/older-build.mjs <commit>');
  const git = (...args) => execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).trim();
  const folder = join(ROOT, '.older', git('rev-parse', '--verify', `${commit}^{commit}`));
  if (!existsSync(folder)) run('git', ['worktree', 'add', '--detach', folder, commit], { cwd: ROOT, stdio: ['ignore', 2, 2] });
  const { setUp } = await import(join(folder, 'scripts', 'setup.mjs'));
  await setUp();
  process.stdout.write(`${folder}\n`);
});
