import { describe, expect, it } from 'vitest';
import { app, start } from './python-instance.fixture.js';

describe('WSGI', () => {
  const ECHO = `
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
    names = ["REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "REMOTE_ADDR", "wsgi.url_scheme", "HTTP_HOST"]
    return ["\\n".join([environ[name] for name in names] + [environ["wsgi.input"].read().decode()]).encode()]
`;

  it('sees the request as the caller sent it', async () => {
    const instance = await app(ECHO);
    const answer = await instance.call({
      method: 'PUT',
      path: '/a%20b?q=1',
      headers: {
        host: 'h.example:81',
        'x-forwarded-prefix': '/fn/f',
        'x-forwarded-for': '10.9.8.7',
        'x-forwarded-proto': 'https',
        x_forwarded_for: '6.6.6.6',
      },
      body: ['one ', 'two'],
    });
    expect(answer.text.split('\n')).toEqual(['PUT', '/fn/f', '/a b', 'q=1', '10.9.8.7', 'https', 'h.example:81', 'one two']);
    expect([answer.headers['set-cookie'], answer.headers['content-length']]).toEqual([['a=1', 'b=2'], String(answer.text.length)]);
    expect([(await instance.call({ method: 'HEAD' })).text, instance.opened]).toEqual(['', 1]);
  });

  it('streams, keeps to its threads, and serves the next request where a body was not read', async () => {
    const instance = await app(
      `
import threading, time
def app(environ, start_response):
    start_response("200 OK", [])
    if environ["PATH_INFO"] == "/slow": time.sleep(0.5)
    return (part for part in [b"a", b"", str(threading.active_count()).encode()])
`,
      { KILN_CONCURRENCY: '3' },
    );
    const three = () => Promise.all([1, 2, 3].map(() => instance.call({ path: '/slow' })));
    const slow = [...(await three()), ...(await three())];
    expect(
      slow
        .map(({ text }) => text)
        .toSorted()
        .at(-1),
    ).toBe('a3');
    expect([slow[0]?.headers['transfer-encoding'], instance.opened]).toEqual(['chunked', 3]);
    expect((await instance.call({ method: 'POST', body: 'x'.repeat(100_000) })).status).toBe(200);
    expect(instance.opened).toBe(3);
  });

  it('that raises before its answer gives function_error; after its beginning the answer breaks off', async () => {
    const instance = await app(`
def app(environ, start_response):
    if environ["PATH_INFO"] == "/early": raise ValueError("early")
    start_response("200 OK", [("x-kiln-error", "function_error")])
    yield b"begun"
    if environ["PATH_INFO"] == "/late": raise ValueError("late")
`);
    const early = await instance.call({ path: '/early' });
    expect([early.status, early.headers['x-kiln-error']]).toEqual([500, 'function_error']);
    await expect(instance.call({ path: '/late' })).rejects.toThrow(/aborted/);
    const fine = await instance.call();
    expect([fine.text, fine.headers['x-kiln-error']]).toEqual(['begun', undefined]);
  });

  it('can put no header or answer of its own behind a line end', async () => {
    const instance = await app(
      'def app(environ, start_response):\n    start_response("200 OK", [("x", "a\\r\\nset-cookie: b")])\n    return [b""]\n',
    );
    expect((await instance.call()).status).toBe(500);
  });

  it('has a hundred at once, within the processes that an instance may have', async () => {
    const instance = await app(
      `
import threading
all_here = threading.Barrier(100)
def app(environ, start_response):
    all_here.wait(30)
    start_response("200 OK", [])
    return [b"together"]
`,
      { KILN_CONCURRENCY: '100' },
    );
    const answers = await Promise.all(Array.from({ length: 100 }, () => instance.call()));
    expect(new Set(answers.map(({ text }) => text))).toEqual(new Set(['together']));
  });

  it('is made once by a factory in a package, which is imported under its own name', async () => {
    const source = `
made = []
def create_app(config=None):
    made.append(1)
    def app(environ, start_response):
        start_response("200 OK", [])
        return [("%s made %d" % (__name__, len(made))).encode()]
    return app
`;
    const instance = await start({ 'shop/__init__.py': source }, { KILN_ENTRY: 'shop/__init__.py', KILN_HANDLER: 'create_app' });
    expect([(await instance.call()).text, (await instance.call()).text]).toEqual(['shop made 1', 'shop made 1']);
  });
});
