import { dataCommand, type KilnCommand, type Session } from '../../command.js';
import { Failure } from '../../failure.js';
import { homePaths } from '../../home.js';
import { type OutputOptions, print } from '../../output/print.js';
import { nodeIds } from '../../up/files/cluster-file.js';
import { removeLeftovers } from '../../up/leftovers.js';
import { end, gone, isAlive, signal } from '../../up/processes.js';
import { forgetRunning, type Running, readRunning } from '../../up/running-file.js';

const LEFTOVER_STOP_MS = 5000;
/** Time for what follows the drains of router and agents: kills, the stop of Redis, the removal of containers. */
const STOP_MARGIN_MS = 45_000;

export function downCommand(session: Session): KilnCommand {
  return dataCommand('down', session)
    .summary('stop what kiln up runs')
    .description(
      'Stops the kiln up of this KILN_HOME as Ctrl-C does, waits until it has ended, and removes what a killed kiln up left behind.\nFunctions and data are kept.',
    )
    .examples(['kiln down', 'stop; the next kiln up has all functions again'])
    .action(async (options: OutputOptions) => {
      const { config, terminal } = session;
      const file = homePaths(config.KILN_HOME).running;
      const running = readRunning(file);
      const stopped = running !== undefined && isAlive(running.supervisor);
      if (stopped) await stop(session, running);
      else if (running) await Promise.all(Object.values(running.children).map((child) => end(child, LEFTOVER_STOP_MS)));
      const leftovers = { home: config.KILN_HOME, dockerHost: config.DOCKER_HOST, nodeIds: nodeIds(config.KILN_HOME) };
      const removed = await removeLeftovers(leftovers, terminal);
      if (!stopped) forgetRunning(file);
      print(terminal, options, { stopped, removed }, () => (stopped ? 'stopped' : 'nothing was running'));
    });
}

async function stop({ config, terminal }: Session, { supervisor }: Running): Promise<void> {
  terminal.say(`stopping kiln up (process ${supervisor.pid})`);
  signal(supervisor, 'SIGTERM');
  if (await gone(supervisor, 2 * (config.KILN_DRAIN_DELAY + config.KILN_DRAIN_TIMEOUT) + STOP_MARGIN_MS)) return;
  const { logs } = homePaths(config.KILN_HOME);
  const fix = `see in the logs what it waits for: ${logs}, or end it: kill -9 ${supervisor.pid} && kiln down`;
  throw new Failure(`kiln up (process ${supervisor.pid}) does not end`, fix);
}
