import { describe, expect, it } from 'vitest';
import { addConnectionNames, get, hasPrefix, isHopByHop, withoutNamed } from './headers.js';

describe('isHopByHop', () => {
  it.each([
    'Connection',
    'keep-alive',
    'Proxy-Connection',
    'Proxy-Authenticate',
    'PROXY-AUTHORIZATION',
    'te',
    'Trailer',
    'Transfer-Encoding',
    'UPGRADE',
  ])('knows %s', (name) => {
    expect(isHopByHop(name)).toBe(true);
  });

  it.each(['Host', 'Content-Length', 'Cookie', 'tx', 'upgraded', 'x-trailer', 'connections', 'set-cookie'])('lets %s travel on', (name) => {
    expect(isHopByHop(name)).toBe(false);
  });
});

describe('what Connection names', () => {
  const named = (...values: string[]) => values.reduce<string[] | undefined>(addConnectionNames, undefined);

  it('is collected over all its lines, and does not travel on', () => {
    const names = named('close, x-hop ,X-Other', 'X-Third');
    expect(names).toEqual(['x-hop', 'x-other', 'x-third']);
    expect(withoutNamed(['X-Hop', '1', 'kept', '2', 'x-OTHER', '3'], names!)).toEqual(['kept', '2']);
  });

  it('is nothing for plain options, and never what frames or addresses the message', () => {
    expect(named('keep-alive')).toBeUndefined();
    expect(named('Close, Upgrade,, Host, Content-Length', 'Content-Type')).toBeUndefined();
  });
});

describe('hasPrefix', () => {
  it('sees through case and underscores, and takes nothing that only looks alike', () => {
    for (const name of ['x-kiln-a', 'X_Kiln_B', 'X-KILN-', 'x_KILN-c']) expect(hasPrefix(name, 'x-kiln-')).toBe(true);
    for (const name of ['x-kilnx', 'x-kil', 'ax-kiln-a', 'x kiln-a', '']) expect(hasPrefix(name, 'x-kiln-')).toBe(false);
  });
});

describe('get', () => {
  it('finds the first value by name, in any case', () => {
    expect(get(['A', '1', 'a', '2'], 'a')).toBe('1');
    expect(get(['A', '1'], 'b')).toBeUndefined();
  });
});
