import { EnvironmentError } from '@kiln/contract/config/environment';
import { ERRORS, type ErrorCode, KilnError } from '@kiln/contract/errors';

export const EXIT = { ok: 0, failed: 1, usage: 2, retry: 3, auth: 4, notFound: 5, conflict: 6, interrupted: 130 } as const;

/** Something that went wrong on this side of the wire: what and why in the message, and always the next thing to do. */
export class Failure extends Error {
  constructor(
    message: string,
    readonly fix: string,
    readonly exitCode: number = EXIT.failed,
    readonly code: ErrorCode | 'failed' | 'usage' | 'interrupted' = 'failed',
  ) {
    super(message);
  }
}

/** The command was given wrongly. */
export class UsageFailure extends Failure {
  constructor(message: string, fix: string) {
    super(message, fix, EXIT.usage, 'usage');
  }
}

export class Interrupted extends Failure {
  constructor(message = 'interrupted', fix = 'run the command again') {
    super(message, fix, EXIT.interrupted, 'interrupted');
  }
}

/** Nothing went wrong and nothing is left to say: who reads on until Ctrl-C knows why it ended. */
export class QuietEnd extends Error {
  readonly exitCode = EXIT.interrupted;
}

const EXIT_OF: Partial<Record<ErrorCode, number>> = {
  unavailable: EXIT.retry,
  no_capacity: EXIT.retry,
  concurrency_limit: EXIT.retry,
  rate_limited: EXIT.retry,
  unauthorized: EXIT.auth,
  forbidden: EXIT.auth,
  function_not_found: EXIT.notFound,
  version_not_found: EXIT.notFound,
  not_found: EXIT.notFound,
  conflict: EXIT.conflict,
};

export function exitCodeOf(code: ErrorCode): number {
  return EXIT_OF[code] ?? EXIT.failed;
}

const NEXT: Record<ErrorCode, string> = {
  bad_request: 'correct what is named above and run the command again',
  unauthorized: 'set KILN_API_KEY to a valid key, or use the one of `kiln up` in KILN_HOME/credentials.json',
  forbidden: 'make a key with the scope it lacks: kiln keys create <name> --scope <scope>',
  function_not_found: 'see which there are: kiln ls',
  version_not_found: 'see which there are: kiln versions <function>',
  not_found: 'see what there is: kiln ls',
  method_not_allowed: 'the command line and the server are of different versions: update both',
  conflict: 'look at the current state and try again: kiln inspect <function>',
  payload_too_large: 'send less, or raise maxBody in kiln.json and deploy again',
  concurrency_limit: 'try again shortly, or raise maxInstances, concurrency or queue in kiln.json',
  rate_limited: 'wait a few seconds and try again; correct the key if it is wrong',
  function_error: 'see its stack: kiln logs <function> --level error',
  internal: 'see the platform state: kiln status',
  bad_response: 'correct what the function writes, or let an HTTP library write it: see docs/reference/errors.md',
  function_crashed: 'see its last lines: kiln logs <function>',
  node_lost: 'the call may have run; see which nodes are there: kiln nodes ls',
  start_failed: 'correct the code and deploy again; all it wrote: kiln logs <function>',
  no_capacity: 'try again shortly, or add a node; see what there is: kiln nodes ls',
  unavailable: 'try again shortly; see the platform state: kiln status',
  function_timeout: 'raise timeout in kiln.json, or see what it does: kiln logs <function>',
  start_timeout: 'raise startTimeout in kiln.json, or see what it does: kiln logs <function>',
};

/** What is told of an error: the same in prose and in JSON. */
export interface ErrorReport {
  code: ErrorCode | 'failed' | 'usage' | 'interrupted';
  message: string;
  fix: string;
  exitCode: number;
  fields?: { field: string; message: string }[];
}

export function tell(error: unknown): ErrorReport {
  if (error instanceof KilnError) return tellKilnError(error);
  if (error instanceof Failure) {
    return { code: error.code, message: error.message, fix: error.fix, exitCode: error.exitCode };
  }
  if (error instanceof EnvironmentError) {
    return { code: 'usage', message: error.message, fix: 'correct or unset the variable', exitCode: EXIT.usage };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { code: 'failed', message, fix: 'look for the cause on this machine: kiln doctor', exitCode: EXIT.failed };
}

function tellKilnError(error: KilnError): ErrorReport {
  const { title } = ERRORS[error.code];
  return {
    code: error.code,
    // What is wrong with a folder or a command is no request to whoever reads this.
    message: error.code === 'bad_request' ? error.message : withTitle(title, error.message),
    fix: fixOf(error),
    exitCode: exitCodeOf(error.code),
    ...(error.fields !== undefined && { fields: error.fields }),
  };
}

/** The server's sentence may be the title in other words. */
function withTitle(title: string, message: string): string {
  if (!message.toLowerCase().includes(title.toLowerCase())) return `${title}: ${message}`;
  return message.charAt(0).toUpperCase() + message.slice(1);
}

function fixOf(error: KilnError): string {
  if (isUnreached(error)) return 'start Kiln here with kiln up, or set KILN_URL to where it runs';
  return error.fix ?? NEXT[error.code];
}

/** Nothing answered: what the server would have advised is not known. */
function isUnreached({ code, cause }: KilnError): boolean {
  return code === 'unavailable' && cause !== undefined;
}
