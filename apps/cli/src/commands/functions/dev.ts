import { type Command, InvalidArgumentError } from 'commander';
import { dataCommand, examples, type Session } from '../../command.js';
import type { DevFlags } from '../../dev/run-dev.js';

const FIRST_PORT = 3000;

export function devCommand(session: Session): Command {
  return dataCommand('dev', session)
    .summary('run a folder’s functions here, and again at each save')
    .description(
      'Runs functions with the runner of the platform, without Docker, at http://localhost:<port>/fn/<name>/ until Ctrl-C. A saved file\n' +
        'starts the functions of its folder anew; calls that come meanwhile wait. Variables come from kiln.json and from a file\n' +
        '.env, which stands for secrets too and is never deployed. What the functions write goes to stdout, all else to stderr.',
    )
    .argument('[dir]', 'the folder', '.')
    .option('-p, --port <port>', `port to listen on (default: the first free one from ${FIRST_PORT})`, portNumber)
    .option('--only <names>', 'these functions and no others, with commas between them', (text: string) => text.split(','))
    .addHelpText(
      'after',
      examples([
        ['kiln dev', 'the current folder, or all functions below it'],
        ['kiln dev hello --port 4000', 'on a port of your choice'],
        ['kiln dev --only web,api', 'two functions of a repository'],
      ]),
    )
    .action(async (dir: string, options: DevFlags) => {
      // Loaded only here: it brings the builder's detectors and what watches files.
      const { runDev } = await import('../../dev/run-dev.js');
      await runDev(session, dir, options, FIRST_PORT);
    });
}

function portNumber(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port < 1 || port > 65_535) throw new InvalidArgumentError('It must be 1 to 65535.');
  return port;
}
