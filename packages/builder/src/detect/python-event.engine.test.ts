import { describe, expect, it } from 'vitest';
import { start } from './python-instance.fixture.js';

const event = (source: string, more: Record<string, string> = {}) => start({ 'handler.py': source, ...more }, { KILN_ENTRY: 'handler.py' });

describe('handler(event)', () => {
  it('gets the JSON of the body, and what it returns is the answer', async () => {
    const instance = await event('def handler(event):\n    return {"got": event}\n');
    const answer = await instance.call({ method: 'POST', body: '{"a":[1,"ü"]}' });
    expect([answer.status, answer.headers['content-type'], JSON.parse(answer.text)]).toEqual([
      200,
      'application/json',
      { got: { a: [1, 'ü'] } },
    ]);
    const chunked = await instance.call({ method: 'POST', body: ['{"a":', '2', '}'] });
    expect([JSON.parse(chunked.text), instance.opened]).toEqual([{ got: { a: 2 } }, 1]);
  });

  it('gets the sample event for a body that is empty or no JSON, fresh for each call', async () => {
    const source = 'def handler(event):\n    event["n"] += 1\n    return event\n';
    const instance = await event(source, { 'event.json': '{"n":1}' });
    for (const body of ['', 'no json', '']) expect((await instance.call({ method: 'POST', body })).text).toBe('{"n": 2}');
  });

  it('gets {} where there is no sample, and refuses what is no JSON', async () => {
    const instance = await event('def handler(event):\n    return event\n');
    expect((await instance.call()).text).toBe('{}');
    const refused = await instance.call({ method: 'POST', body: '{' });
    expect([refused.status, refused.headers['x-kiln-error']]).toEqual([400, 'bad_request']);
  });

  it('that raises gives function_error, its stack in the log under the request id, and the next call works', async () => {
    const instance = await event(
      'import logging\ndef handler(event):\n    print("hello")\n    logging.warning("careful")\n    return {"x": 1}[event["key"]]\n',
    );
    const failed = await instance.call({ method: 'POST', body: '{"key":"y"}', headers: { 'x-request-id': 'r-1' } });
    expect([failed.status, failed.headers['x-kiln-error'], JSON.parse(failed.text)]).toMatchObject([
      500,
      'function_error',
      { code: 'function_error', requestId: 'r-1' },
    ]);
    expect((await instance.call({ method: 'POST', body: '{"key":"x"}' })).text).toBe('1');
    for (const line of [
      /\{"kiln":1,"level":"error","requestId":"r-1","message":"Traceback[^\n]*KeyError: 'y'[^\n]*"\}/,
      /\{"kiln":1,"level":"info","requestId":"r-1","message":"hello"\}/,
      /\{"kiln":1,"level":"warn","requestId":"r-1","message":"careful"\}/,
    ]) {
      await expect.poll(() => instance.logs(), { timeout: 10_000 }).toMatch(line);
    }
  });

  it('may be a coroutine, and may ask for the request', async () => {
    const instance = await event(
      'import asyncio\nasync def handler(event, context):\n    await asyncio.sleep(0)\n    return [context.method, context.query, context.headers["x-own"]]\n',
    );
    expect((await instance.call({ path: '/?a=1', headers: { 'X-Own': 'me' } })).text).toBe('["GET", "a=1", "me"]');
  });

  it.each([
    ['a module that raises', 'raise RuntimeError("no database")\n', /RuntimeError: no database/],
    ['a module without the handler', 'def other(event):\n    pass\n', /handler\.py has no \\"handler\\"; it has: other/],
    ['a syntax error', 'def handler(event):\n    return {"a": 1\n', /handler\.py\\", line 2[\s\S]*never closed/],
    ['a package that is not there', 'import no_such_package\n', /handler\.py\\", line 1[\s\S]*requirements\.txt/],
  ])('does not connect with %s', async (_what, source, message) => {
    const instance = await event(source);
    expect(await instance.exitCode()).toBe(1);
    await expect.poll(() => instance.logs(), { timeout: 10_000 }).toMatch(message);
    // Its own frames alone.
    expect(await instance.logs()).not.toMatch(/kiln_runner|importlib|<frozen/);
    expect(instance.opened).toBe(0);
  });
});
