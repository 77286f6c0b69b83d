import { describe, expect, it } from 'vitest';
import { isLocalFault } from './upstream.js';

const failure = (code: string) => Object.assign(new Error(code), { code });

describe('a fault of one’s own machine', () => {
  it.each(['EMFILE', 'ENFILE', 'EADDRNOTAVAIL', 'ENOBUFS', 'ENOMEM', 'ENETUNREACH'])('%s says nothing about the other side', (code) => {
    expect(isLocalFault(failure(code))).toBe(true);
  });

  it.each(['ECONNREFUSED', 'ECONNRESET', 'EHOSTUNREACH', 'ETIMEDOUT', 'EPIPE'])('%s may be the other side’s', (code) => {
    expect(isLocalFault(failure(code))).toBe(false);
  });
});
