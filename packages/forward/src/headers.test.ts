import { describe, expect, it } from 'vitest';
import { dropPrefixed, endToEnd, get } from './headers.js';

describe('endToEnd', () => {
  it('keeps order, case and repeated lines', () => {
    const raw = ['Host', 'a', 'X-B', '1', 'x-a', '2', 'X-B', '3', 'Set-Cookie', 'a', 'Set-Cookie', 'b'];
    expect(endToEnd(raw)).toEqual(raw);
  });

  it('drops what belongs to the hop, in any case', () => {
    const hop = [
      'Connection',
      'keep-alive',
      'Keep-Alive',
      '1',
      'Proxy-Connection',
      'x',
      'Proxy-Authenticate',
      'x',
      'PROXY-AUTHORIZATION',
      'x',
      'te',
      'trailers',
      'Trailer',
      'x',
      'Transfer-Encoding',
      'chunked',
      'UPGRADE',
      'h2c',
    ];
    expect(endToEnd([...hop, 'kept', '1'])).toEqual(['kept', '1']);
  });

  it('drops what Connection names, wherever it stands, but never what frames or addresses the message', () => {
    const raw = [
      'X-Hop',
      '1',
      'Connection',
      'close, x-hop ,X-Other',
      'x-other',
      '2',
      'Connection',
      'host, content-length',
      'Host',
      'a',
      'Content-Length',
      '3',
    ];
    expect(endToEnd(raw)).toEqual(['Host', 'a', 'Content-Length', '3']);
  });
});

describe('dropPrefixed', () => {
  it('drops in any case and with underscores, and nothing that only looks alike', () => {
    const raw = ['x-kiln-a', '1', 'X_Kiln_B', '2', 'X-KILN-', '3', 'x-kilnx', '4', 'x-kil', '5', 'ax-kiln-a', '6'];
    expect(dropPrefixed(raw, 'x-kiln-')).toEqual(['x-kilnx', '4', 'x-kil', '5', 'ax-kiln-a', '6']);
  });
});

describe('get', () => {
  it('finds the first value by name, in any case', () => {
    expect(get(['A', '1', 'a', '2'], 'a')).toBe('1');
    expect(get(['A', '1'], 'b')).toBeUndefined();
  });
});
