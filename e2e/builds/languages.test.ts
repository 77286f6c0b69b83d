import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { folderTar } from '@kiln/testing/folder-tar';
import { until } from '@kiln/testing/until';
import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { colourOf } from '../support/browser.js';
import { example, fixture } from '../support/inside.js';
import { changed, cluster, itLives, type Project, withClusterAndBrowser } from '../support/project.js';

const ROOT = join(import.meta.dirname, '../..');
const BASE_IMAGES = join(ROOT, 'scripts', 'base-images.mjs');
/** Large: made here, where they are needed, and not when the platform is set up. */
const COMPILERS = ['golang:1.24-trixie', 'rust:1-slim-trixie'];
const COMPILERS_MS = 600_000;

withClusterAndBrowser(() => promisify(execFile)(process.execPath, [BASE_IMAGES, ...COMPILERS], { timeout: COMPILERS_MS }));

const HANDLER = 'def handler(event):\n    return ["changed", event]\n';
const looks = async (page: Page) => expect(await colourOf(page, 'h1')).toBe('rgb(31, 32, 33)');

const LANGUAGES: Project[] = [
  {
    name: 'go',
    folder: fixture('go'),
    evidence: /found go\.mod with package main in \./,
    shows: /Hello, , from Go\s*zones true, uid 65532/,
    assets: [/\/static\/style\.css$/],
    look: looks,
    files: { 'greet/greet.go': 'package greet\n\nfunc Text(name string) string { return "changed " + name }\n' },
    showsThen: /changed \s*zones true/,
  },
  {
    name: 'rust',
    folder: fixture('rust'),
    evidence: /found Cargo\.toml with the program greeter/,
    shows: /Hello from Rust/,
    assets: [/\/style\.css$/],
    look: looks,
    files: changed(fixture('rust'), 'src/main.rs', 'Hello from', 'Bye bye from'),
    showsThen: /Bye bye from Rust/,
  },
  {
    name: 'event',
    folder: example('event'),
    evidence: /handler\.py/,
    // The sample event, where no body comes.
    shows: /^\{"message": "Hello, world!"/,
    files: { 'handler.py': HANDLER },
    showsThen: /^\["changed", \{"name": "world"\}\]$/,
  },
  {
    name: 'wsgi-page',
    folder: fixture('wsgi-page'),
    evidence: /app\.py/,
    shows: /Hello from WSGI/,
    assets: [/\/static\/style\.css$/],
    look: looks,
    files: changed(fixture('wsgi-page'), 'app.py', 'Hello from', 'Bye bye from'),
    showsThen: /Bye bye from WSGI/,
  },
  {
    name: 'asgi-page',
    folder: fixture('asgi-page'),
    evidence: /main\.py/,
    shows: /Hello from ASGI/,
    assets: [/\/static\/style\.css$/],
    look: looks,
    files: changed(fixture('asgi-page'), 'main.py', 'Hello from', 'Bye bye from'),
    showsThen: /Bye bye from ASGI/,
  },
  {
    name: 'dockerfile',
    folder: fixture('from-cless'),
    evidence: /found a Dockerfile/,
    shows: /Hello from cLess/,
    files: changed(fixture('from-cless'), 'server.js', 'Hello from', 'Bye bye from'),
    showsThen: /Bye bye from cLess/,
  },
];

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
