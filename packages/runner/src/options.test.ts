import { describe, expect, it } from 'vitest';
import { readOptions, UsageError } from './options.js';

describe('readOptions', () => {
  it('serves the working folder on 3000, which is no port of the router, unless told otherwise', () => {
    expect(readOptions([], {})).toEqual({ mode: 'local', entry: '.', port: 3000 });
    expect(readOptions(['./index.js'], { PORT: '3001' })).toEqual({ mode: 'local', entry: './index.js', port: 3001 });
    expect(readOptions(['--port', '4000', 'app.js'], { PORT: '3001' })).toEqual({ mode: 'local', entry: 'app.js', port: 4000 });
  });

  it('serves the agent where there is one', () => {
    const env = {
      KILN_SOCKET: '/run/kiln/agent.sock',
      KILN_CONCURRENCY: '7',
      KILN_ENTRY: 'main.js',
      KILN_HANDLER: 'a',
      KILN_FUNCTION: 'f',
    };
    expect(readOptions([], env)).toEqual({
      mode: 'instance',
      entry: 'main.js',
      handler: 'a',
      functionName: 'f',
      socketPath: '/run/kiln/agent.sock',
      concurrency: 7,
    });
  });

  it('serves one export, named or not', () => {
    expect(readOptions(['serve', 'main.js', '--handler', 'a', '--function', 'f'], { PORT: '3000' })).toEqual({
      mode: 'serve',
      entry: 'main.js',
      handler: 'a',
      functionName: 'f',
      port: 3000,
    });
    expect(readOptions(['serve'], {})).toMatchObject({ entry: '.', handler: undefined, functionName: undefined, port: 8080 });
  });

  it('describes a module, also one of that name', () => {
    expect(readOptions(['describe'], { KILN_ENTRY: 'main.js' })).toEqual({ mode: 'describe', entry: 'main.js' });
    expect(readOptions(['describe', 'describe'], {})).toEqual({ mode: 'describe', entry: 'describe' });
  });

  it.each([
    [['--port', 'x'], {}, /port is "x"/],
    [['--port', '65536'], {}, /0 to 65535/],
    [['--unknown'], {}, /--unknown/],
    [['a.js', 'b.js'], {}, /not also b\.js/],
    [[], { KILN_SOCKET: 's', KILN_CONCURRENCY: '0' }, /KILN_CONCURRENCY is "0"/],
  ])('refuses %j with %j', (argv, env, message) => {
    expect(() => readOptions(argv, env)).toThrowError(UsageError);
    expect(() => readOptions(argv, env)).toThrowError(message);
  });
});
