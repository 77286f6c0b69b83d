import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { clusterSecret, EnvironmentError, port, readEnvironment, redisUrl } from './config/environment.js';
import { parse } from './config/field-errors.js';
import { ERRORS, KilnError, toProblem } from './errors.js';
import { functionName } from './names.js';
import { traffic } from './records/traffic.js';

describe('names', () => {
  it.each(['a', 'hello', 'a-b', 'a1', 'x'.repeat(63)])('takes %s', (name) => {
    expect(functionName.safeParse(name).success).toBe(true);
  });

  it.each(['', 'A', '1a', '-a', 'a-', 'a_b', 'a.b', 'a/b', '..', 'a\n', 'é', 'x'.repeat(64), '*', '__proto__'])('refuses %j', (name) => {
    expect(functionName.safeParse(name).success).toBe(false);
  });
});

describe('traffic', () => {
  it.each([
    [[{ version: 1, weight: 99 }]],
    [[]],
    [
      [
        { version: 1, weight: 50.5 },
        { version: 2, weight: 49.5 },
      ],
    ],
    [
      [
        { version: 1, weight: 50 },
        { version: 1, weight: 50 },
      ],
    ],
    [
      [
        { version: 1, weight: 150 },
        { version: 2, weight: -50 },
      ],
    ],
    [[{ version: 1, weight: 100, extra: true }]],
    [{ version: 1, weight: 100 }],
  ])('refuses %j', (input) => {
    expect(() => parse(traffic, input, 'traffic')).toThrowError(KilnError);
  });

  it('names the entry and the field', () => {
    try {
      parse(traffic, [{ version: 'x', weight: 100 }], 'traffic');
      expect.unreachable();
    } catch (error) {
      expect((error as KilnError).fields?.[0]?.field).toBe('traffic[0].version');
    }
  });
});

describe('errors', () => {
  it('never answers with a success', () => {
    for (const { status } of Object.values(ERRORS)) expect(status).toBeGreaterThanOrEqual(400);
  });

  it('says when to come back for what passes by itself', () => {
    expect(new KilnError('no_capacity', 'full').retryAfter).toBe(1);
    expect(new KilnError('bad_request', 'no').retryAfter).toBeUndefined();
  });

  it('becomes a problem with everything a caller needs', () => {
    expect(toProblem(new KilnError('function_not_found', 'no function "x"', { fix: 'kiln ls' }), 'r1')).toEqual({
      type: 'urn:kiln:error:function_not_found',
      title: 'No such function',
      status: 404,
      code: 'function_not_found',
      detail: 'no function "x"',
      requestId: 'r1',
      fix: 'kiln ls',
    });
  });
});

describe('readEnvironment', () => {
  const shape = { KILN_HTTP_PORT: port(8080), KILN_CLUSTER_SECRET: clusterSecret, KILN_MODE: z.enum(['on', 'off']).default('on') };

  it('fills in defaults and takes an empty variable as not set', () => {
    expect(readEnvironment(shape, { KILN_CLUSTER_SECRET: 'x'.repeat(16), KILN_MODE: '' })).toEqual({
      KILN_HTTP_PORT: 8080,
      KILN_CLUSTER_SECRET: 'x'.repeat(16),
      KILN_MODE: 'on',
    });
  });

  it('names the variable, the value and what is allowed, and hides a secret', () => {
    const read = () => readEnvironment(shape, { KILN_HTTP_PORT: '99999', KILN_CLUSTER_SECRET: 'hunter2' });
    expect(read).toThrowError(EnvironmentError);
    expect(read).toThrowError(/KILN_HTTP_PORT is "99999": must be a port, 1 to 65535/);
    expect(read).not.toThrowError(/hunter2/);
  });

  it('hides a secret that is optional or has a default too', () => {
    const long = {
      A: redisUrl.optional(),
      B: clusterSecret.default('x'.repeat(16)),
      C: clusterSecret.optional().transform((text) => text),
    };
    const read = () => readEnvironment(long, { A: 'http://:hunter2@x', B: 'hunter2', C: 'hunter2' });
    expect(read).toThrowError(/A is \(hidden\): .*\nB is \(hidden\): .*\nC is \(hidden\): /);
    expect(read).not.toThrowError(/hunter2/);
  });
});
