import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { folderTar } from '@kiln/testing/folder-tar';
import { until } from '@kiln/testing/until';
import { describe, expect, it } from 'vitest';
import { example } from '../support/inside.js';
import { cluster, itLives, withClusterAndBrowser } from './project.js';
import { LANGUAGES } from './projects/languages.js';

const ROOT = join(import.meta.dirname, '../..');
const BASE_IMAGES = join(ROOT, 'scripts', 'base-images.mjs');
/** Large: made here, where they are needed, and not when the platform is set up. */
const COMPILERS = ['golang:1.24-trixie', 'rust:1-slim-trixie'];
const COMPILERS_MS = 600_000;

withClusterAndBrowser(() => promisify(execFile)(process.execPath, [BASE_IMAGES, ...COMPILERS], { timeout: COMPILERS_MS }));

itLives(LANGUAGES);

describe('an example', () => {
  it.each([
    ['event', { method: 'POST', body: '{"name":"Ada"}' }, '', /^\{"message": "Hello, Ada!"/],
    ['wsgi', {}, '?name=Ada', /^Hello, Ada, from \/fn\/wsgi!/],
    ['asgi', {}, 'some/path', /^\{"method": "GET", "path": "\/some\/path"\}$/],
  ])('%s answers as its README says', async (name, options, path, text) => {
    if (name !== 'event') await cluster.deploy(example(name), { name });
    expect((await cluster.call(`/fn/${name}/${path}`, options)).text).toMatch(text);
  });
});

describe('an event handler', () => {
  it('gets the sample event where no body is sent, and that one raises is the platform’s to say', async () => {
    expect((await cluster.call('/fn/event/')).text).toMatch(/^\{"message": "Hello, world!"/);
    const failed = await cluster.call('/fn/event/', { method: 'POST', body: '{}', headers: { 'x-request-id': 'raised-1' } });
    expect([failed.status, failed.headers['x-kiln-error'], failed.headers['content-type']]).toEqual([
      500,
      'function_error',
      'application/problem+json',
    ]);
    expect(failed.json()).toMatchObject({ code: 'function_error', requestId: 'raised-1' });
    await until('the stack is in the log', async () => {
      for await (const { message, level } of cluster.client.logs('event', { requestId: 'raised-1' })) {
        if (level === 'error' && /KeyError: 'name'/.test(message)) return true;
      }
      return false;
    });
  });
});

describe('a build argument', () => {
  it('reaches the steps of a Dockerfile, and another one gives another version', async () => {
    const Dockerfile =
      'FROM python:3.13-slim-trixie\nARG WHO\nRUN echo "print_text = b\\"$WHO\\"" > /who.py\nCOPY . /\nCMD ["python", "/server.py"]\n';
    const tar = () => folderTar(example('python'), { name: 'argued', files: { Dockerfile, 'server.py': ARGUED } });
    const deploy = (WHO: string) => cluster.client.deploy('argued', tar(), () => undefined, { buildArgs: { WHO } });
    expect((await deploy('Ada')).version).toBe(1);
    expect((await cluster.call('/fn/argued/')).text).toBe('Ada');
    expect(await deploy('Grace')).toMatchObject({ version: 2, changed: true });
    expect((await cluster.call('/fn/argued/')).text).toBe('Grace');
    expect(await deploy('Grace')).toMatchObject({ version: 2, changed: false });
    await expect(cluster.client.deploy('argued', tar(), () => undefined, { buildArgs: { 'A B': 'x' } })).rejects.toThrow(/buildArgs/);
  });
});

const ARGUED = `
import http.server, os, sys
sys.path.insert(0, "/")
import who
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", str(len(who.print_text)))
        self.end_headers()
        self.wfile.write(who.print_text)
http.server.ThreadingHTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
`;

describe('a Python application', () => {
  it('brings packages of its own, from PyPI or beside it', async () => {
    await cluster.deploy(example('wsgi'), {
      name: 'packaged',
      files: {
        'requirements.txt': './greeting\n',
        'greeting/pyproject.toml':
          '[project]\nname = "greeting"\nversion = "1.0"\n[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        'greeting/backend.py': BACKEND,
        'app.py': 'import greeting\ndef app(environ, start_response):\n    start_response("200 OK", [])\n    return [greeting.TEXT]\n',
      },
    });
    expect((await cluster.call('/fn/packaged/')).text).toBe('packaged');
  });
});

/** A build backend (PEP 517) of a few lines, since none can be fetched everywhere this runs. */
const BACKEND = `
import os, zipfile
def build_wheel(directory, config_settings=None, metadata_directory=None):
    name = "greeting-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(directory, name), "w") as wheel:
        wheel.writestr("greeting.py", 'TEXT = b"packaged"\\n')
        wheel.writestr("greeting-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: greeting\\nVersion: 1.0\\n")
        wheel.writestr("greeting-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("greeting-1.0.dist-info/RECORD", "")
    return name
`;
