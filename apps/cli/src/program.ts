import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { examples, newCommand, type Session } from './command.js';
import { buildCommand } from './commands/build.js';
import { deployCommand } from './commands/deploy.js';
import { devCommand } from './commands/dev.js';
import { doctorCommand } from './commands/doctor.js';
import { downCommand } from './commands/down.js';
import { envCommand } from './commands/env.js';
import { helpCommand } from './commands/help.js';
import { initCommand } from './commands/init.js';
import { inspectCommand } from './commands/inspect.js';
import { invokeCommand } from './commands/invoke.js';
import { keysCommand } from './commands/keys.js';
import { logsCommand } from './commands/logs.js';
import { lsCommand } from './commands/ls.js';
import { nodesCommand } from './commands/nodes.js';
import { rmCommand } from './commands/rm.js';
import { rollbackCommand } from './commands/rollback.js';
import { rolloutCommand } from './commands/rollout.js';
import { secretsCommand } from './commands/secrets.js';
import { statusCommand } from './commands/status.js';
import { trafficCommand } from './commands/traffic.js';
import { upCommand } from './commands/up.js';
import { versionsCommand } from './commands/versions.js';

const GROUPS: readonly (readonly [string, readonly ((session: Session) => Command)[]])[] = [
  ['Run Kiln:', [upCommand, downCommand, statusCommand, doctorCommand]],
  ['Functions:', [initCommand, devCommand, buildCommand, deployCommand, invokeCommand, logsCommand, lsCommand, inspectCommand, rmCommand]],
  ['Versions and traffic:', [versionsCommand, trafficCommand, rolloutCommand, rollbackCommand]],
  ['Variables and secrets:', [envCommand, secretsCommand]],
  ['Cluster:', [nodesCommand, keysCommand]],
];

export function createProgram(session: Session): Command {
  const program = newCommand('kiln', session)
    .description('Functions on your own Docker machines.')
    .version(version(), '-V, --version', 'print the version')
    .usage('<command> [options]')
    .addHelpText(
      'after',
      examples([
        ['kiln up', 'start a router, a node and Redis on this machine'],
        ['kiln init hello && kiln deploy hello', 'a first function'],
        ['kiln invoke hello', 'call it'],
      ]),
    );
  for (const [group, commands] of GROUPS) {
    for (const create of commands) program.addCommand(create(session).helpGroup(group));
  }
  return program.addCommand(helpCommand(session, program));
}

function version(): string {
  const file = join(import.meta.dirname, '..', 'package.json');
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
