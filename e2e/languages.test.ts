import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Cluster, startCluster } from '@kiln/testing/cluster';
import { folderTar } from '@kiln/testing/folder-tar';
import { until } from '@kiln/testing/until';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { example } from './inside.js';

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster?.stop());

interface Language {
  name: string;
  folder: string;
  call(): Promise<string>;
  first: RegExp;
  /** What is changed for the second version, and what it answers. */
  files: Record<string, string>;
  second: RegExp;
  /** Large, so made when a test needs it and not when the platform is set up. */
  baseImage?: string;
  skip?: boolean;
}

const ROOT = join(import.meta.dirname, '..');
const BASE_IMAGES = join(ROOT, 'scripts', 'base-images.mjs');
const fixture = (name: string) => join(ROOT, 'e2e', 'fixtures', name);

const WSGI = 'def app(environ, start_response):\n    start_response("200 OK", [])\n    return [b"changed"]\n';
const ASGI = `
class Changed:
    async def __call__(self, scope, receive, send):
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"changed"})
app = Changed()
`;

const LANGUAGES: Language[] = [
  {
    name: 'event',
    folder: example('event'),
    call: async () => (await cluster.call('/fn/event/', { method: 'POST', body: '{"name":"Ada"}' })).text,
    first: /^\{"message": "Hello, Ada!"/,
    files: { 'handler.py': 'def handler(event):\n    return ["changed", event]\n' },
    second: /^\["changed", \{"name": "Ada"\}\]$/,
  },
  {
    name: 'wsgi',
    folder: example('wsgi'),
    call: async () => (await cluster.call('/fn/wsgi/?name=Ada')).text,
    first: /^Hello, Ada, from \/fn\/wsgi!/,
    files: { 'app.py': WSGI },
    second: /^changed$/,
  },
  {
    name: 'asgi',
    folder: example('asgi'),
    call: async () => (await cluster.call('/fn/asgi/some/path')).text,
    first: /^\{"method": "GET", "path": "\/some\/path"\}$/,
    files: { 'main.py': ASGI },
    second: /^changed$/,
  },
  {
    name: 'go',
    folder: fixture('go'),
    call: async () => (await cluster.call('/fn/go/?name=Ada')).text,
    first: /^Hello, Ada, from Go, zones true, uid 65532$/m,
    files: { 'greet/greet.go': 'package greet\n\nfunc Text(name string) string { return "changed " + name }\n' },
    second: /^changed Ada, zones true/,
    baseImage: 'golang:1.24-trixie',
  },
  {
    name: 'rust',
    folder: fixture('rust'),
    call: async () => (await cluster.call('/fn/rust/')).text,
    first: /^Hello, from Rust$/m,
    files: {
      'src/main.rs': readFileSync(join(fixture('rust'), 'src/main.rs'), 'utf8')
        .replace('Hello, from', 'Bye bye, from')
        .replace('17', '19'),
    },
    second: /^Bye bye, from Rust$/m,
    baseImage: 'rust:1-slim-trixie',
    // Half a gigabyte of compiler, for a way that Go's differs little from.
    skip: process.env['KILN_E2E_RUST'] === undefined,
  },
];

describe.each(LANGUAGES)('a folder of the kind $name', ({ name, folder, call, first, files, second, baseImage, skip }) => {
  beforeAll(() => {
    if (baseImage !== undefined && !skip)
      execFileSync(process.execPath, [BASE_IMAGES, baseImage], { stdio: ['ignore', 'ignore', 'inherit'] });
  }, 900_000);

  it.skipIf(skip)(
    'is deployed, answers, is deployed again with a change, and rolled back',
    async () => {
      expect((await cluster.deploy(folder, { name })).version).toBe(1);
      expect(await call()).toMatch(first);
      expect((await cluster.deploy(folder, { name, files })).version).toBe(2);
      expect(await call()).toMatch(second);
      await cluster.client.rollback(name);
      expect(await call()).toMatch(first);
    },
    600_000,
  );
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
