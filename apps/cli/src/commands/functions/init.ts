import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { KilnError } from '@kiln/contract/errors';
import { suggestName } from '@kiln/contract/names';
import { dataCommand, type KilnCommand, type Session } from '../../command.js';
import { UsageFailure } from '../../failure.js';
import { type OutputOptions, print } from '../../output/print.js';
import { shellWord } from '../../output/shell-word.js';

const HANDLER = `// Every export is a handler: (req, res) as in Express. Module state lives as long as the instance.
export const hello = {
  func: async (req, res) => {
    console.log('hello,', req.query.name ?? 'world');
    res.json({ hello: req.query.name ?? 'world' });
  },
  config: { timeout: 10_000 },
};
`;

export function initCommand(session: Session): KilnCommand {
  return dataCommand('init', session)
    .summary('write a first function into a folder')
    .description(
      'Writes index.js, package.json and kiln.json into a folder, and creates the folder if necessary.\nNever overwrites a file.',
    )
    .argument('[dir]', 'the folder', '.')
    .examples(['kiln init hello', 'write ./hello'], ['kiln init', 'write into the current folder'])
    .action(async (dir: string, options: OutputOptions) => {
      const { terminal } = session;
      const folder = resolve(dir);
      const name = suggestName(basename(folder));
      const contents = {
        'index.js': HANDLER,
        'package.json': `${JSON.stringify({ name, private: true, type: 'module', main: 'index.js' }, null, 2)}\n`,
        'kiln.json': `${JSON.stringify({ name, handler: 'hello', timeout: 10_000 }, null, 2)}\n`,
      };
      const files = Object.keys(contents);
      const there = (await filesIn(folder)).filter((file) => files.includes(file));
      if (there.length > 0) {
        const fix = `deploy those files: kiln deploy ${shellWord(dir)}; or choose another folder`;
        throw new KilnError('conflict', `${folder} already holds ${there.join(', ')}`, { fix });
      }
      for (const [file, content] of Object.entries(contents)) await writeFile(join(folder, file), content, { flag: 'wx' });
      print(terminal, options, { name, folder, files }, () => `wrote ${files.join(', ')} into ${folder}`);
      terminal.say(terminal.hint(`next: kiln deploy ${shellWord(dir)} && kiln invoke ${name}`));
    });
}

/** Creates the folder if necessary and lists its files. @throws UsageFailure when it cannot be created or read */
async function filesIn(folder: string): Promise<string[]> {
  try {
    await mkdir(folder, { recursive: true });
    return await readdir(folder);
  } catch (error) {
    throw new UsageFailure(`${folder} can't be a function's folder: ${(error as Error).message}`, 'choose another: kiln init <dir>');
  }
}
