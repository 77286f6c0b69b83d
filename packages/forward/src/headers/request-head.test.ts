import { describe, expect, it } from 'vitest';
import { requestHead, UnsendableError } from './headers.js';

describe('the head of a request', () => {
  it('carries header lines as they are', () => {
    expect(requestHead('GET', '/a?b', ['Host', 'x', 'X-A', '1', 'x-a', '2'], 'other', undefined)).toBe(
      'GET /a?b HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nx-a: 2\r\n\r\n',
    );
  });

  it('says that its body comes in chunks, and has a host where none was named', () => {
    expect(requestHead('POST', '/', [], '10.0.0.1:80', 'chunked')).toBe(
      'POST / HTTP/1.1\r\nHost: 10.0.0.1:80\r\nTransfer-Encoding: chunked\r\n\r\n',
    );
  });

  it.each([
    ['method', 'GET /x HTTP/1.1\r\n', '/', 'X', 'v'],
    ['target', 'GET', '/ HTTP/1.1\r\nX: y', 'X', 'v'],
    ['empty target', 'GET', '', 'X', 'v'],
    ['name', 'GET', '/', 'X: y\r\nZ', 'v'],
    ['value', 'GET', '/', 'X', 'v\r\nX: y'],
    ['value with NUL', 'GET', '/', 'X', '\0'],
  ])('is refused where its %s would break out', (_which, method, path, name, value) => {
    expect(() => requestHead(method, path, [name, value], 'h', undefined)).toThrow(UnsendableError);
  });
});
