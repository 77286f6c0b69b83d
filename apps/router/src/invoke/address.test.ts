import { describe, expect, it } from 'vitest';
import { addressOf } from './address.js';

const FORMS = { domain: 'localhost', byPath: true };
const byPath = (target: string) => addressOf('localhost:8080', target, FORMS);
const byHost = (host: string, target = '/') => addressOf(host, target, FORMS);

describe('addressOf', () => {
  it('finds a function by path and strips the prefix, the bytes behind it untouched', () => {
    expect(byPath('/fn/hello/a%2Fb//c?x=%20&&y')).toEqual({
      kind: 'function',
      name: 'hello',
      version: undefined,
      path: '/a%2Fb//c?x=%20&&y',
      prefix: '/fn/hello',
      redirect: undefined,
    });
    expect(byPath('/fn/hello//evil.example/x')).toMatchObject({ path: '//evil.example/x' });
    expect(byPath('/fn/hello/?')).toMatchObject({ path: '/?' });
  });

  it('redirects the form without a slash, query kept', () => {
    expect(byPath('/fn/hello')).toMatchObject({ name: 'hello', path: '/', redirect: '/fn/hello/' });
    expect(byPath('/fn/hello@2?a=1&b')).toMatchObject({ version: 2, path: '/?a=1&b', redirect: '/fn/hello@2/?a=1&b' });
  });

  it('reads a fixed version', () => {
    expect(byPath('/fn/hello@12/x')).toMatchObject({ name: 'hello', version: 12, path: '/x', prefix: '/fn/hello@12' });
    expect(byHost('v3--hello.localhost', '/x')).toMatchObject({ name: 'hello', version: 3, path: '/x', prefix: undefined });
  });

  it('finds a function by host, in any case, with a port or a final dot', () => {
    for (const host of ['hello.localhost', 'HELLO.LocalHost:8080', 'hello.localhost.', 'hello.localhost.:80']) {
      expect(byHost(host, '/fn/other/')).toEqual({
        kind: 'function',
        name: 'hello',
        version: undefined,
        path: '/fn/other/',
        prefix: undefined,
        redirect: undefined,
      });
    }
  });

  it('reads an encoded name as the plain one, decoded once', () => {
    expect(byPath('/fn/%68ello/x')).toMatchObject({ name: 'hello', path: '/x', prefix: '/fn/hello' });
    expect(byPath('/fn/hello%401/')).toMatchObject({ name: 'hello', version: 1 });
    expect(byPath('/fn/%2568ello/').kind).toBe('no_function');
  });

  it.each([
    '..',
    '%2e%2e',
    '%2f',
    '%00',
    '.',
    '',
    'Hello',
    '__proto__',
    'constructor.',
    '*',
    'a%0ab',
    'fn;v=1',
    'hello@',
    'hello@0',
    'hello@-1',
    'hello@01',
    'hello@1@2',
    'a'.repeat(64),
    'ｈello',
    '-a',
    'a-',
  ])('knows no function named %j', (name) => {
    expect(byPath(`/fn/${name}/`).kind).toBe('no_function');
  });

  it('takes several labels before the domain, or a name no function can have, as no function', () => {
    expect(byHost('a.b.localhost').kind).toBe('no_function');
    expect(byHost('v0--hello.localhost')).toMatchObject({ kind: 'function', name: 'v0--hello' });
    expect(byHost('v1--9.localhost').kind).toBe('no_function');
  });

  it('leaves everything else to the router itself', () => {
    for (const target of ['/', '/healthz', '/fn', '/FN/hello/', '/v1/functions'])
      expect(byPath(target)).toEqual({ kind: 'platform', path: target });
    expect(addressOf(undefined, '/readyz', FORMS).kind).toBe('platform');
    expect(addressOf('notlocalhost', '/', FORMS).kind).toBe('platform');
    expect(addressOf('[::1]:8080', '/', FORMS).kind).toBe('platform');
    expect(addressOf('.localhost', '/', FORMS).kind).toBe('platform');
  });
});
