import { EnvironmentError } from '@kiln/contract/config/environment';
import { ERRORS, type ErrorCode, KilnError } from '@kiln/contract/errors';

export const EXIT = { ok: 0, failed: 1, usage: 2, retry: 3, auth: 4, notFound: 5, conflict: 6, interrupted: 130 } as const;

/** An error on this side: the message says what happened and why, `fix` says what to do next. */
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

/** The command line has a wrong argument or option. */
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

/** Ctrl-C ended `kiln logs -f` or the like: the exit code says so, and no message follows. */
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
  bad_request: 'correct what the message names and run the command again',
  unauthorized: 'set KILN_API_KEY to a valid key, or use the one of `kiln up` in KILN_HOME/credentials.json',
  forbidden: 'create a key with the missing scope: kiln keys create <name> --scope <scope>',
  function_not_found: 'list the functions: kiln ls',
  version_not_found: 'list the versions: kiln versions <function>',
  not_found: 'list the functions: kiln ls',
  method_not_allowed: 'the command line and the server have different versions: update both',
  conflict: 'look at the current state and try again: kiln inspect <function>',
  payload_too_large: 'send less, or raise maxBody in kiln.json and deploy again',
  concurrency_limit: 'try again shortly, or raise maxInstances, concurrency or queue in kiln.json',
  rate_limited: 'wait a few seconds and try again; correct the API key if it is wrong',
  function_error: 'see the stack trace: kiln logs <function> --level error',
  internal: 'see the platform state: kiln status',
  bad_response: 'correct what the function writes, or let an HTTP library write it: see docs/reference/errors.md',
  function_crashed: 'see its last log lines: kiln logs <function>',
  node_lost: 'the call may have run; list the nodes: kiln nodes ls',
  start_failed: 'correct the code and deploy again; see its log: kiln logs <function>',
  no_capacity: 'try again shortly, or add a node; list the nodes: kiln nodes ls',
  unavailable: 'try again shortly; see the platform state: kiln status',
  function_timeout: 'raise timeout in kiln.json, or see its log: kiln logs <function>',
  start_timeout: 'raise startTimeout in kiln.json, or see its log: kiln logs <function>',
};

/** What the user learns of an error, the same in prose and in JSON. */
export type ErrorReport = Pick<Failure, 'code' | 'message' | 'fix' | 'exitCode'> & Partial<Pick<KilnError, 'fields'>>;

export function tell(error: unknown): ErrorReport {
  if (error instanceof KilnError) return tellKilnError(error);
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof Failure) return { code: error.code, message, fix: error.fix, exitCode: error.exitCode };
  if (error instanceof EnvironmentError) return { code: 'usage', message, fix: 'correct or unset the variable', exitCode: EXIT.usage };
  return { code: 'failed', message, fix: 'look for the cause on this machine: kiln doctor', exitCode: EXIT.failed };
}

function tellKilnError(error: KilnError): ErrorReport {
  const { title } = ERRORS[error.code];
  return {
    code: error.code,
    // "Malformed request" would puzzle a user whose folder or command is wrong.
    message: error.code === 'bad_request' ? error.message : withTitle(title, error.message),
    fix: fixOf(error),
    exitCode: exitCodeOf(error.code),
    fields: error.fields,
  };
}

/** The server's message may already contain the title. */
function withTitle(title: string, message: string): string {
  if (!message.toLowerCase().includes(title.toLowerCase())) return `${title}: ${message}`;
  return message.charAt(0).toUpperCase() + message.slice(1);
}

function fixOf({ code, cause, fix }: KilnError): string {
  // No server answered, so no server gave advice.
  if (code === 'unavailable' && cause !== undefined) return 'start Kiln here with kiln up, or set KILN_URL to where it runs';
  return fix ?? NEXT[code];
}

/** What was asked for; undefined when it fails with this code. */
export async function unless<T>(code: ErrorCode, asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof KilnError && error.code === code) return undefined;
    throw error;
  }
}
