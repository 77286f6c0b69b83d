import { REQUEST_ID_PATTERN } from '@kiln/contract/names';
import { type LogRecord, logLevelName } from '@kiln/contract/records/records';
import { Option } from 'commander';
import { dataCommand, type KilnCommand, type Session } from '../../command.js';
import { connect } from '../../connection.js';
import { QuietEnd, UsageFailure } from '../../failure.js';
import { requireFunctionName } from '../../function-reference.js';
import { parseSince } from '../../logs/parse-since.js';
import { neutralise } from '../../output/neutralise.js';
import { type OutputOptions, printLine } from '../../output/print.js';
import { paintState } from '../../output/style.js';

interface LogsOptions extends OutputOptions {
  follow?: boolean;
  since?: string;
  requestId?: string;
  level?: LogRecord['level'];
}

export function logsCommand(session: Session): KilnCommand {
  return dataCommand('logs', session)
    .summary("show a function's log lines")
    .description('Shows the recent log lines of all instances of a function, on all nodes.')
    .argument('<name>', 'the function', requireFunctionName)
    .option('-f, --follow', 'show new lines until Ctrl-C')
    .option('--since <time>', 'only lines since then: 30s, 10m, 2h, 1d, or an ISO time')
    .option('--request-id <id>', 'only lines of one request: the whole x-request-id of its response')
    .addOption(new Option('--level <level>', 'only lines of this level or above').choices(logLevelName.options))
    .examples(
      ['kiln logs hello --since 10m', 'the last ten minutes'],
      ['kiln logs hello -f --level error', 'errors as they happen'],
      ['kiln logs hello --request-id "$ID"', 'one request'],
    )
    .action((name: string, options: LogsOptions) => logs(session, name, options));
}

async function logs(session: Session, name: string, options: LogsOptions): Promise<void> {
  const { terminal } = session;
  const client = connect(session);
  const since = options.since === undefined ? undefined : parseSince(options.since).toISOString();
  if (options.requestId !== undefined) requireRequestId(options.requestId);
  const lines = client.logs(name, { ...options, since, signal: terminal.interrupted });
  if (options.follow) {
    terminal.endsItself = true;
    if (terminal.canAsk) terminal.say(`following ${name}; Ctrl-C ends it`);
  }
  let count = 0;
  try {
    for await (const line of lines) {
      printLine(terminal, options, line, logText);
      count += 1;
    }
  } catch (error) {
    throw options.follow && terminal.interrupted.aborted ? new QuietEnd() : error;
  }
  if (options.follow && terminal.interrupted.aborted) throw new QuietEnd();
  if (count === 0) terminal.say(terminal.hint(nothingFound(name, options)));
}

function logText({ time, level, requestId, version, message }: LogRecord): string {
  const about = requestId === undefined ? `v${version}` : `v${version} ${requestId}`;
  return `${time} ${paintState(level.padEnd(5))} ${neutralise(`${about} ${message}`)}`;
}

function nothingFound(name: string, { since, requestId, level }: LogsOptions): string {
  const all = `show all lines: kiln logs ${name}`;
  if (requestId !== undefined) return `no line of ${name} belongs to the request ${requestId} (give the whole id); ${all}`;
  if (since !== undefined || level !== undefined) {
    const limits = [since && `since ${since}`, level && `of level ${level} or above`].filter(Boolean).join(', ');
    return `${name} has logged nothing ${limits}; ${all}`;
  }
  return `${name} has logged nothing yet; its output (console.log, print) appears here after a moment; next: kiln invoke ${name}`;
}

function requireRequestId(id: string): void {
  if (REQUEST_ID_PATTERN.test(id)) return;
  throw new UsageFailure(`"${id}" can't be a request's id`, 'give the whole x-request-id of the response; kiln invoke -i shows it');
}
