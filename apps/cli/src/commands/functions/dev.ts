import { InvalidArgumentError } from 'commander';
import { dataCommand, type KilnCommand, type Session } from '../../command.js';
import type { DevFlags } from '../../dev/run-dev.js';

const FIRST_PORT = 3000;

export function devCommand(session: Session): KilnCommand {
  return dataCommand('dev', session)
    .summary('run a folder’s functions here, and restart them at each save')
    .description(
      'Runs functions with the runner of the platform, without Docker, at http://localhost:<port>/fn/<name>/ until Ctrl-C. When you save\n' +
        'a file, the functions of its folder restart; calls wait meanwhile. Variables come from kiln.json and from a file .env, which\n' +
        'holds the secrets too and is never deployed. The output of the functions goes to stdout, everything else to stderr.',
    )
    .argument('[dir]', 'the folder', '.')
    .option('-p, --port <port>', `port to listen on (default: the first free one from ${FIRST_PORT})`, portNumber)
    .option('--only <names>', 'only these functions, separated by commas', (text: string) => text.split(','))
    .examples(
      ['kiln dev', 'the current folder, or all functions below it'],
      ['kiln dev hello --port 4000', 'on a port of your choice'],
      ['kiln dev --only web,api', 'two functions of a repository'],
    )
    .action(async (dir: string, options: DevFlags) => {
      // Loaded only here: it loads the detectors of the builder and the file watcher.
      const { runDev } = await import('../../dev/run-dev.js');
      await runDev(session, dir, options, FIRST_PORT);
    });
}

function portNumber(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port < 1 || port > 65_535) throw new InvalidArgumentError('It must be 1 to 65535.');
  return port;
}
