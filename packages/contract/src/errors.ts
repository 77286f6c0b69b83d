/** Every error that Kiln itself makes. A function's own 5xx is not here: clients tell the two apart by the header `x-kiln-error`. */
export const ERRORS = {
  bad_request: { status: 400, title: 'The request is malformed or failed validation' },
  unauthorized: { status: 401, title: 'No valid API key' },
  forbidden: { status: 403, title: 'The API key lacks the scope' },
  function_not_found: { status: 404, title: 'No such function' },
  version_not_found: { status: 404, title: 'No such version' },
  not_found: { status: 404, title: 'Nothing here' },
  method_not_allowed: { status: 405, title: 'Method not allowed' },
  conflict: { status: 409, title: 'Conflict with the current state' },
  payload_too_large: { status: 413, title: 'The request body is too large' },
  concurrency_limit: { status: 429, title: 'The function and its queue are full' },
  rate_limited: { status: 429, title: 'Too many requests' },
  function_error: { status: 500, title: 'The function threw' },
  internal: { status: 500, title: 'Kiln itself failed' },
  bad_response: { status: 502, title: 'The answer of the function breaks HTTP' },
  function_crashed: { status: 502, title: 'The instance died under the request' },
  node_lost: { status: 502, title: 'The node went away under the request' },
  start_failed: { status: 502, title: 'The version cannot start' },
  no_capacity: { status: 503, title: 'No node can take the request' },
  unavailable: { status: 503, title: 'Not available for the moment' },
  function_timeout: { status: 504, title: 'The function ran past its timeout' },
  start_timeout: { status: 504, title: 'The version was not ready in time' },
} as const satisfies Record<string, { status: number; title: string }>;

export type ErrorCode = keyof typeof ERRORS;

export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERRORS, code);
}

export interface FieldError {
  /** Path of the field, as `config.timeout` or `traffic[1].weight`. */
  field: string;
  message: string;
}

export interface ErrorDetails {
  /** The next thing to do, where one is known. */
  fix?: string;
  /** Seconds; sent as Retry-After. */
  retryAfter?: number;
  fields?: FieldError[];
  cause?: unknown;
}

/** The domain's only error class: a code, what happened, and what to do next. Edges turn it into HTTP or an exit code. */
export class KilnError extends Error {
  readonly fix: string | undefined;
  readonly retryAfter: number | undefined;
  readonly fields: FieldError[] | undefined;

  constructor(
    readonly code: ErrorCode,
    detail: string,
    details: ErrorDetails = {},
  ) {
    super(detail, { cause: details.cause });
    this.name = 'KilnError';
    this.fix = details.fix;
    this.retryAfter = details.retryAfter ?? (RETRY_SOON.has(code) ? 1 : undefined);
    this.fields = details.fields;
  }
}

const RETRY_SOON: ReadonlySet<ErrorCode> = new Set(['concurrency_limit', 'rate_limited', 'no_capacity', 'unavailable']);

/** Body of every error answer (RFC 9457), sent as `application/problem+json`. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  code: ErrorCode;
  detail: string;
  requestId: string;
  fix?: string;
  fields?: FieldError[];
}

export const PROBLEM_CONTENT_TYPE = 'application/problem+json';

export function toProblem(error: KilnError, requestId: string): Problem {
  const { status, title } = ERRORS[error.code];
  return {
    type: `urn:kiln:error:${error.code}`,
    title,
    status,
    code: error.code,
    detail: error.message,
    requestId,
    fix: error.fix,
    fields: error.fields,
  };
}
