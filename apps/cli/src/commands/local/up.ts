import { once } from 'node:events';
import { InvalidArgumentError } from 'commander';
import { dataCommand, type KilnCommand, type Session } from '../../command.js';
import { type DeployOutcome, failed, deployed as wasDeployed } from '../../deploy/deploy-function.js';
import { outcomesText } from '../../deploy/show/outcomes.js';
import { homePaths } from '../../home.js';
import { formatOf, type OutputOptions, printLine } from '../../output/print.js';
import { paint } from '../../output/style.js';
import { pairs } from '../../output/table.js';
import { deployFolders, foldersIn } from '../../up/deploy-folders.js';
import { MAX_NODES } from '../../up/files/cluster-file.js';
import { localAddress, up } from '../../up/up.js';

export function upCommand(session: Session): KilnCommand {
  return dataCommand('up', session)
    .summary('run Kiln on this machine')
    .description(
      'Runs a router, one or more nodes and (unless KILN_REDIS_URL is set) a Redis on this machine until Ctrl-C or kiln down.\n' +
        'A process that dies is started again. Data, secrets and logs are kept under KILN_HOME.',
    )
    .option('--nodes <count>', 'how many nodes share this machine', nodeCount, 1)
    .option('--deploy <dir>', 'deploy every folder in this one when the cluster is ready')
    .examples(
      ['kiln up', 'one node on the ports 8080 and 8081'],
      ['kiln up --nodes 3 --deploy examples', 'three nodes, and the examples deployed'],
      ['KILN_HTTP_PORT=9080 KILN_CONTROL_PORT=9081 kiln up', 'on other ports'],
    )
    .action(async (options: OutputOptions & { nodes: number; deploy?: string }) => {
      const { terminal } = session;
      terminal.endsItself = true;
      const folders = options.deploy === undefined ? [] : await foldersIn(options.deploy);
      await up(session, options.nodes, async (client, nodes) => {
        const outcomes = await deployFolders(folders, client, terminal);
        if (terminal.interrupted.aborted) return;
        if (outcomes.length > 0) sayOutcomes(session, outcomes);
        announce(session, options, nodes, outcomes);
        await once(terminal.interrupted, 'abort');
      });
    });
}

function sayOutcomes({ terminal }: Session, outcomes: readonly DeployOutcome[]): void {
  terminal.say(`\n${outcomesText(outcomes, terminal.columns)}`);
  for (const { function: name, error } of outcomes.filter(failed)) {
    const next = terminal.hint(error.fix.replaceAll('<function>', name));
    terminal.say(`\n${paint('red', `${name} was not deployed:`)} ${error.message}\n  next: ${next}`);
  }
}

/** Says that Kiln is ready: a block of text on stderr, and one line of JSON on stdout for programs. */
function announce({ config, terminal }: Session, options: OutputOptions, nodes: readonly string[], outcomes: DeployOutcome[]): void {
  const { credentials } = homePaths(config.KILN_HOME);
  const dataUrl = `http://${config.KILN_BIND === '127.0.0.1' ? 'localhost' : localAddress(config.KILN_BIND)}:${config.KILN_HTTP_PORT}`;
  const controlUrl = `http://${localAddress(config.KILN_BIND)}:${config.KILN_CONTROL_PORT}`;
  const deployed = outcomes.filter(wasDeployed);
  const shown = deployed.find((outcome) => outcome.function === 'hello') ?? deployed[0];
  const attempt = shown ? `curl ${shown.url}` : terminal.hint('kiln init hello && kiln deploy hello && kiln invoke hello');
  const block = pairs([
    ['control', controlUrl],
    ['key file', credentials],
    ['stop', terminal.hint('Ctrl-C, or kiln down')],
    ['try', attempt],
  ]);
  const count = `${nodes.length} ${nodes.length === 1 ? 'node' : 'nodes'}`;
  terminal.say(`\n${block}\n${paint('green', 'Kiln is ready')} with ${count} at ${dataUrl}/fn/<name>/`);
  if (formatOf(options, terminal) === 'json') {
    printLine(terminal, options, { ready: true, dataUrl, controlUrl, credentials, try: attempt, nodes, functions: outcomes }, String);
  }
}

function nodeCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > MAX_NODES) throw new InvalidArgumentError(`It must be 1 to ${MAX_NODES}.`);
  return count;
}
