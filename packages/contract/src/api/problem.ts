import { ERRORS, type ErrorCode, isErrorCode, KilnError, type Problem } from '../errors.js';

const MAX_CHARS = 65_536;

/** The error that an answer of another process tells, whatever its body holds. */
export function readProblem(status: number, body: string, retryAfter?: string | null): KilnError {
  const problem = asProblem(body);
  const code = typeof problem.code === 'string' && isErrorCode(problem.code) ? problem.code : codeOf(status);
  const seconds = Number.parseInt(retryAfter ?? '', 10);
  return new KilnError(code, typeof problem.detail === 'string' ? problem.detail : `the server answered ${status}`, {
    fix: typeof problem.fix === 'string' ? problem.fix : undefined,
    fields: Array.isArray(problem.fields) ? problem.fields : undefined,
    retryAfter: Number.isFinite(seconds) ? seconds : undefined,
  });
}

/** A failure told as a code and a text, as in the last line of a build. */
export function readFailure({ code, detail, fix }: { code: string; detail: string; fix?: string | undefined }): KilnError {
  return new KilnError(isErrorCode(code) ? code : 'internal', detail, { fix });
}

function asProblem(text: string): Partial<Problem> {
  if (text.length > MAX_CHARS) return {};
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}

const USUAL: readonly ErrorCode[] = ['unauthorized', 'forbidden', 'not_found', 'method_not_allowed', 'conflict', 'payload_too_large'];

/** For an answer that is not Kiln's own: a load balancer's, or another server's. */
function codeOf(status: number): ErrorCode {
  if (status === 429 || status === 502 || status === 503 || status === 504) return 'unavailable';
  if (status >= 500) return 'internal';
  return USUAL.find((code) => ERRORS[code].status === status) ?? 'bad_request';
}
