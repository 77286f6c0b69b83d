import { describe, expect, it } from 'vitest';
import { detect } from '../detect/detect.js';
import { folder, planOf } from '../source/source.fixture.js';
import { factoryIn } from './factories.js';

const django = {
  'manage.py': '',
  'site1/__init__.py': '',
  'site1/asgi.py': 'application = get_asgi_application()',
  'site1/wsgi.py': 'application = get_wsgi_application()',
};

describe('an application and its server', () => {
  it.each([
    ['gunicorn', 'site1/wsgi.py', 'gunicorn site1.wsgi:application '],
    ['gunicorn @ file:///app/vendor/gunicorn', 'site1/wsgi.py', 'gunicorn site1.wsgi:application '],
    ['uvicorn[standard]', 'site1/asgi.py', 'uvicorn site1.asgi:application '],
    ['gunicorn\nuvicorn-worker', 'site1/asgi.py', 'uvicorn site1.asgi:application '],
    ['hypercorn', 'site1/asgi.py', 'hypercorn site1.asgi:application '],
    ['daphne', 'site1/asgi.py', 'daphne -b 0.0.0.0 -p $PORT site1.asgi:application'],
    ['gunicorn-extras', 'site1/asgi.py', 'runner.py'],
  ])('are chosen as a pair, with %j', async (requirements, entry, command) => {
    const plan = await planOf({ ...django, 'requirements.txt': `django\n${requirements}\n` });
    expect([plan.entry, plan.text]).toEqual([entry, expect.stringContaining(command)]);
  });

  it.each([
    ['gunicorn', 'from asgiref.wsgi import WsgiToAsgi\nfrom flask import Flask\napp = Flask(__name__)\nasgi_app = WsgiToAsgi(app)\n'],
    ['uvicorn', 'import os\nimport falcon.asgi\nos.environ["A"]\napp = falcon.asgi.App()\n'],
    ['hypercorn', 'from flask import Flask\napp = Flask(__name__)\n'],
  ])('are put together where %s can call it, whatever else the module names', async (server, source) => {
    const plan = await planOf({ 'app.py': source, 'requirements.txt': server });
    expect([plan.kind, plan.text]).toEqual(['http', expect.stringContaining(`python -m ${server} app:app `)]);
  });

  it.each([
    ['gunicorn', 'async def app(scope, receive, send): pass'],
    ['uvicorn', 'from flask import Flask\napp = Flask(__name__)'],
  ])('are not put together where %s can not call it, and that is said', async (server, source) => {
    const plan = await planOf({ 'app.py': source, 'requirements.txt': server });
    expect([plan.kind, plan.notes.join()]).toEqual(['python', expect.stringContaining(`${server} of requirements.txt can not call it`)]);
  });
});

describe('a factory', () => {
  const factory = 'from flask import Flask\ndef create_app(test_config=None):\n  return Flask(__name__)\n';

  it.each([
    ['in a package', { 'shop/__init__.py': factory }, 'shop/__init__.py'],
    ['in a module', { 'main.py': factory.replace('create_app', 'make_app') }, 'main.py'],
    [
      'that FLASK_APP names, among others',
      { '.flaskenv': 'FLASK_APP=shop\n', 'shop/__init__.py': factory, 'a/app.py': factory },
      'shop/__init__.py',
    ],
    ['that FLASK_APP calls', { '.flaskenv': 'FLASK_APP="b.site:create_app()"\n', 'b/site.py': factory }, 'b/site.py'],
  ])('%s is found', async (_what, files, entry) => {
    const plan = await planOf(files as unknown as Record<string, string>);
    expect([plan.kind, plan.entry, plan.config]).toEqual(['python', entry, { concurrency: 100 }]);
  });

  it('is called by the server that runs it', async () => {
    const text = async (server: string) => (await planOf({ 'shop/__init__.py': factory, 'requirements.txt': server })).text;
    expect(await text('gunicorn')).toContain("gunicorn 'shop:create_app()'");
    expect((await planOf({ 'api/main.py': factory.replaceAll('Flask', 'FastAPI'), 'requirements.txt': 'uvicorn' })).text).toContain(
      'uvicorn --factory api.main:create_app',
    );
  });

  it.each([
    [{ 'shop/__init__.py': 'def create_app(config): pass' }, /shop\/__init__\.py has create_app, which needs arguments: write wsgi\.py/],
    [{ 'a/app.py': factory, 'b/app.py': factory }, /create_app\(\) in a\/app\.py and .* write "entry": "a\/app\.py" into kiln\.json/],
    [{ 'tests/app.py': factory }, /or application; /],
    [{ 'index.html': '', 'package.json': '{}', 'server/app.py': factory }, /nothing to build/],
    [{ '.flaskenv': 'FLASK_APP=shop:build()', 'shop/__init__.py': 'def build(): pass' }, /or application; /],
  ])('that is not the one is named in the refusal, with the line to write: %#', async (files, message) => {
    await expect(detect(folder(files as unknown as Record<string, string>), {})).rejects.toThrowError(message);
  });

  it.each([
    ['()', true],
    ['(\n  config: dict[str, int] = {"a": (1, 2)},  # a, b)\n  *,\n  debug=False,\n) -> Flask', true],
    ['(*args, **kwargs)', true],
    ['(config, debug=False)', false],
    ['(config: Annotated[int, Field(gt=0)])', false],
    ['(config="a', false],
  ])('with %j fits: %j', (parameters, fits) => {
    expect(factoryIn(`import x\ndef create_app${parameters}:\n  pass\n`)?.fits).toBe(fits);
  });
});
