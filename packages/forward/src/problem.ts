import { type ServerResponse, STATUS_CODES } from 'node:http';
import { type KilnError, PROBLEM_CONTENT_TYPE, toProblem } from '@kiln/contract/errors';
import { ERROR, REQUEST_ID } from '@kiln/contract/headers';

/** Answers with an error of Kiln's own. The head must not have been sent. `status` where it is not the code's usual one. */
export function writeProblem(
  response: ServerResponse,
  error: KilnError,
  requestId: string,
  extraHeaders: string[] = [],
  status?: number,
): void {
  const { headers, body, code } = problemParts(error, requestId, extraHeaders, status);
  response.writeHead(code, headers);
  response.end(body);
}

/** The same as the bytes of a whole answer that ends its connection, for sockets that have no response object. */
export function problemMessage(error: KilnError, requestId: string, extraHeaders: string[] = [], status?: number): string {
  const { headers, body, code } = problemParts(error, requestId, extraHeaders, status);
  let head = `HTTP/1.1 ${code} ${STATUS_CODES[code] ?? 'Error'}\r\n`;
  for (let i = 0; i < headers.length; i += 2) head += `${headers[i]}: ${headers[i + 1]}\r\n`;
  return `${head}Connection: close\r\n\r\n${body}`;
}

function problemParts(error: KilnError, requestId: string, extraHeaders: string[], status: number | undefined) {
  const problem = toProblem(error, requestId);
  const code = status ?? problem.status;
  const body = JSON.stringify({ ...problem, status: code });
  const headers = [
    'Content-Type',
    PROBLEM_CONTENT_TYPE,
    'Content-Length',
    String(Buffer.byteLength(body)),
    'Cache-Control',
    'no-store',
    ERROR,
    error.code,
    REQUEST_ID,
    requestId,
    ...(error.retryAfter === undefined ? [] : ['Retry-After', String(error.retryAfter)]),
    ...extraHeaders,
  ];
  return { headers, body, code };
}
