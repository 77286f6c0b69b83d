import { type LogRecord, logLevelName } from '@kiln/contract/records';
import { type Command, Option } from 'commander';
import { dataCommand, examples, type Session } from '../command.js';
import { connect } from '../connection.js';
import { UsageFailure } from '../failure.js';
import { requireFunctionName } from '../function-reference.js';
import { neutralise } from '../output/neutralise.js';
import { formatOf, type OutputOptions, printLine } from '../output/print.js';
import { parseDuration } from '../output/units.js';

interface LogsOptions extends OutputOptions {
  follow?: boolean;
  since?: string;
  requestId?: string;
  level?: LogRecord['level'];
}

export function logsCommand(session: Session): Command {
  return dataCommand('logs', session)
    .summary("show a function's log lines")
    .description("Shows a function's recent log lines, of all its instances on all nodes, a line each.")
    .argument('<name>', 'the function')
    .option('-f, --follow', 'go on with new lines until Ctrl-C')
    .option('--since <time>', 'only lines from then on: 30s, 10m, 2h, 1d, or an ISO time')
    .option('--request-id <id>', 'only lines of one request')
    .addOption(new Option('--level <level>', 'only lines of this level or above').choices(logLevelName.options))
    .addHelpText(
      'after',
      examples([
        ['kiln logs hello --since 10m', 'the last ten minutes'],
        ['kiln logs hello -f --level error', 'errors as they come'],
        ['kiln logs hello --request-id 7b1c', 'one request'],
      ]),
    )
    .action((name: string, options: LogsOptions) => logs(session, requireFunctionName(name), options));
}

async function logs(session: Session, name: string, options: LogsOptions): Promise<void> {
  const { terminal } = session;
  const format = formatOf(options, terminal);
  const lines = connect(session).logs(name, {
    ...(options.follow && { follow: true }),
    ...(options.since !== undefined && { since: sinceTime(options.since) }),
    ...(options.requestId !== undefined && { requestId: options.requestId }),
    ...(options.level !== undefined && { level: options.level }),
  });
  for await (const line of lines) printLine(terminal, format, line, logText);
}

function logText({ time, level, requestId, version, message }: LogRecord): string {
  const about = requestId === undefined ? `v${version}` : `v${version} ${requestId}`;
  return neutralise(`${time} ${level.padEnd(5)} ${about} ${message}`);
}

function sinceTime(text: string): string {
  const ago = parseDuration(text);
  const time = ago === undefined ? Date.parse(text) : Date.now() - ago;
  if (Number.isNaN(time)) {
    throw new UsageFailure(`--since ${text} is neither a duration nor a time`, 'write it as 30s, 10m, 2h, 1d, or 2030-01-31T12:00:00Z');
  }
  return new Date(time).toISOString();
}
