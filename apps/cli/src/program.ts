import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { KilnCommand, type Session } from './command.js';
import { keysCommand } from './commands/cluster/keys.js';
import { nodesCommand } from './commands/cluster/nodes.js';
import { buildCommand } from './commands/functions/build.js';
import { deployCommand } from './commands/functions/deploy.js';
import { devCommand } from './commands/functions/dev.js';
import { initCommand } from './commands/functions/init.js';
import { inspectCommand } from './commands/functions/inspect.js';
import { invokeCommand } from './commands/functions/invoke.js';
import { logsCommand } from './commands/functions/logs.js';
import { lsCommand } from './commands/functions/ls.js';
import { rmCommand } from './commands/functions/rm.js';
import { helpCommand } from './commands/help.js';
import { doctorCommand } from './commands/local/doctor.js';
import { downCommand } from './commands/local/down.js';
import { statusCommand } from './commands/local/status.js';
import { upCommand } from './commands/local/up.js';
import { envCommand } from './commands/variables/env.js';
import { secretsCommand } from './commands/variables/secrets.js';
import { rollbackCommand } from './commands/versions/rollback.js';
import { rolloutCommand } from './commands/versions/rollout.js';
import { trafficCommand } from './commands/versions/traffic.js';
import { versionsCommand } from './commands/versions/versions.js';

const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '..', 'package.json'), 'utf8')) as { version: string };

const GROUPS: readonly (readonly [string, readonly ((session: Session) => KilnCommand)[]])[] = [
  ['Run Kiln:', [upCommand, downCommand, statusCommand, doctorCommand]],
  ['Functions:', [initCommand, devCommand, buildCommand, deployCommand, invokeCommand, logsCommand, lsCommand, inspectCommand, rmCommand]],
  ['Versions and traffic:', [versionsCommand, trafficCommand, rolloutCommand, rollbackCommand]],
  ['Variables and secrets:', [envCommand, secretsCommand]],
  ['Cluster:', [nodesCommand, keysCommand]],
];

export function createProgram(session: Session): KilnCommand {
  const program = new KilnCommand('kiln', session)
    .description('Functions on your own Docker machines.')
    .version(version, '-V, --version', 'print the version')
    .usage('<command> [options]')
    .examples(
      ['kiln up', 'start a router, a node and Redis on this machine'],
      ['kiln init hello && kiln deploy hello', 'a first function'],
      ['kiln invoke hello', 'call it'],
    );
  for (const [group, commands] of GROUPS) {
    for (const create of commands) program.addCommand(create(session).helpGroup(group));
  }
  program.addCommand(helpCommand(session, program));
  session.terminal.commands = program.commands.map((each) => each.name());
  return program;
}
