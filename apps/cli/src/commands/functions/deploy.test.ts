import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ControlApi, KEY, kiln, type RunOptions } from '../../control-api.fixture.js';

let api: ControlApi;
let root: string;
/** What the cluster remembers of each function. */
let known: Map<string, { sourceDigest?: string; project?: string }>;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'kiln-deploy-'));
  known = new Map();
  api = new ControlApi();
  await api.listen();
  api.routes.set('GET /v1/functions', (_request, response) => {
    const items = [...known].map(([name, { project }]) => ({ ...api.functionView(), name, ...(project && { project }) }));
    response.end(JSON.stringify({ items, next: null }));
  });
  for (const name of ['a', 'b', 'old', 'theirs']) serve(name);
});

afterEach(async () => {
  await api.close();
  rmSync(root, { recursive: true, force: true });
});

/** A function as the control API has it: nothing until it is deployed, then one version that serves. */
function serve(name: string): void {
  const path = `/v1/functions/${name}`;
  const answer = (route: string, body: () => unknown) =>
    api.routes.set(route, (_request, response) => {
      if (!known.has(name)) response.writeHead(404).end('{"code":"function_not_found","detail":"none"}');
      else response.end(JSON.stringify(body()));
    });
  answer(`GET ${path}`, () => ({ ...api.functionView(), name, ...known.get(name) }));
  answer(`GET ${path}/versions`, () => ({ items: [{ ...api.version(), function: name, ...known.get(name) }], next: null }));
  answer(`DELETE ${path}`, () => known.delete(name));
  api.routes.set(`POST ${path}/builds`, ({ path: address }, response) => {
    known.set(name, Object.fromEntries(new URLSearchParams(address.split('?')[1])));
    const done = { type: 'done', function: name, version: 2, digest: 'sha256:1', url: `http://localhost/fn/${name}/`, changed: true };
    response.end(JSON.stringify(done));
  });
  api.routes.set(`POST ${path}/versions`, (_request, response) => {
    const done = { function: name, version: 3, digest: 'sha256:1', url: `http://localhost/fn/${name}/`, changed: true };
    response.end(JSON.stringify(done));
  });
}

function write(files: Record<string, string>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
}

const deploy = (args: string[] = [], options: RunOptions = {}) =>
  kiln(['deploy', root, ...args], { ...options, env: { KILN_HOME: root, KILN_URL: api.url, KILN_API_KEY: KEY } });

const repository = { 'kiln.json': '{"project":"shop"}', 'a/kiln.json': '{}', 'a/index.js': '', 'b/kiln.json': '{}', 'b/index.js': '' };

/** What was asked to be changed since the last look. */
function changesAsked(): string[] {
  return api.seen
    .splice(0)
    .filter(({ method }) => method !== 'GET')
    .map(({ method, path }) => `${method} ${path.split('?')[0]}`);
}

const lines = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe('kiln deploy', () => {
  it('says once which variables of a .env that stays behind nothing sets, and no value', async () => {
    write({ 'kiln.json': '{"name":"a","env":{"KNOWN":"1"}}', 'index.js': '', '.env': 'GREETING=Moin\nKNOWN=1\n' });
    const { stderr } = await deploy();
    expect(stderr.match(/\.env is not sent, and kiln\.json does not set GREETING: write/g)).toHaveLength(1);
    expect(stderr).not.toContain('Moin');
    expect((await deploy()).stderr).not.toContain('is not sent');
    write({ '.kilnignore': '!.env\n' });
    expect((await deploy()).stderr).not.toContain('is not sent');
  });

  it('takes a folder called .env for no list of variables', async () => {
    write({ 'kiln.json': '{"name":"a"}', 'index.js': '', '.env/bin/python': '' });
    expect(await deploy()).toMatchObject({ code: 0 });
  });

  it('sends what changed and nothing else', async () => {
    write(repository);
    expect((await deploy()).code).toBe(0);
    expect(changesAsked()).toEqual(['POST /v1/functions/a/builds', 'POST /v1/functions/b/builds']);
    const again = await deploy();
    expect(lines(again.stdout)).toMatchObject([
      { function: 'a', version: 2, changed: false },
      { function: 'b', version: 2, changed: false },
    ]);
    expect(again.stderr).toContain('nothing changed since v2');
    expect(changesAsked()).toEqual([]);
    write({ 'b/index.js': '// a line' });
    expect(lines((await deploy()).stdout)).toMatchObject([{ changed: false }, { function: 'b', changed: true }]);
    expect(changesAsked()).toEqual(['POST /v1/functions/b/builds']);
  });

  it('builds again what has not changed and has lost its image', async () => {
    write(repository);
    await deploy();
    changesAsked();
    api.json('GET /v1/functions/a/versions/2/image', { lost: true });
    api.json('GET /v1/functions/b/versions/2/image', { lost: false });
    expect((await deploy(['--dry-run', '-o', 'text'])).stdout).toMatch(/a +v2 +would be built\n *b +v2 +unchanged/);
    const again = await deploy();
    expect(lines(again.stdout)).toMatchObject([
      { function: 'a', changed: true },
      { function: 'b', changed: false },
    ]);
    expect(again.stderr).toMatch(/^a .*the image of v2 is gone from its nodes: builds it again$/m);
    expect(again.stderr).not.toMatch(/^a .*nothing changed/m);
    expect(changesAsked()).toEqual(['POST /v1/functions/a/builds']);
  });

  it('says that a secret is missing, a handler or a value is wrong before anything is sent', async () => {
    const code = 'export const one = (req, res) => {};\nexport const two = (req, res) => {};\n';
    write({ 'kiln.json': '{"name":"a","handler":"one","secrets":["TOKEN","KEY"]}', 'index.js': code });
    api.json('GET /v1/secrets', { items: [{ name: 'KEY', revision: 1, createdAt: '', updatedAt: '' }], next: null });
    const secret = await deploy();
    expect([secret.code, secret.stderr]).toEqual([
      1,
      expect.stringMatching(/kiln\.json names TOKEN under "secrets", and no such secret is stored\n {2}next: .*kiln secrets set TOKEN/),
    ]);
    write({ 'kiln.json': '{"name":"a","handler":"three"}' });
    expect((await deploy()).stderr).toMatch(
      /index\.js exports no "three".*there are: one, two\n {2}next: write "handler": "one" into kiln\.json/,
    );
    write({ 'kiln.json': '{"name":"a","minInstances":5,"maxInstances":2,"handler":"one"}' });
    expect((await deploy()).stderr).toContain('kiln.json.minInstances must not be more than maxInstances');
    expect(changesAsked()).toEqual([]);
  });

  it('leaves it to the cluster where the key may not list the secrets', async () => {
    write({ 'kiln.json': '{"name":"a","secrets":["TOKEN"]}', 'index.js': '' });
    api.fail('GET /v1/secrets', 'forbidden', 'no');
    expect((await deploy()).code).toBe(0);
  });

  it('sends what was remembered without a digest, and with --force', async () => {
    write({ 'kiln.json': '{"name":"a","project":"shop"}', 'index.js': '' });
    await deploy();
    known.set('a', {});
    changesAsked();
    await deploy();
    expect(changesAsked()).toEqual(['POST /v1/functions/a/builds']);
    await deploy(['--force']);
    expect(changesAsked()).toEqual(['POST /v1/functions/a/builds']);
    await deploy(['--project', 'shop']);
    expect(changesAsked()).toEqual([]);
  });

  it('takes the image of the version that was made from the same, where that is for another project or does not serve', async () => {
    write({ 'kiln.json': '{"name":"a","project":"shop"}', 'index.js': '' });
    await deploy();
    const remembered = known.get('a');
    for (const other of [{ project: 'other' }, { traffic: [{ version: 1, weight: 100 }] }]) {
      known.set('a', { ...remembered, ...other });
      changesAsked();
      const { stdout, stderr } = await deploy(['-m', 'again', '--no-traffic']);
      expect(lines(stdout), stderr).toMatchObject([{ function: 'a', version: 3, changed: true }]);
      const { image, config } = api.version();
      const { sourceDigest } = remembered ?? {};
      expect(JSON.parse(String(api.seen.find(({ method }) => method === 'POST')?.body))).toEqual({
        ...{ image, config, sourceDigest },
        ...{ message: 'again', traffic: 'none', project: 'shop' },
      });
      expect(changesAsked()).toEqual(['POST /v1/functions/a/versions']);
    }
  });

  it('sends the sources where the image of before does not start: it may be lost', async () => {
    write({ 'kiln.json': '{"name":"a","project":"shop"}', 'index.js': '' });
    await deploy();
    known.set('a', { ...known.get('a'), project: 'other' });
    api.fail('POST /v1/functions/a/versions', 'start_failed', 'there is no image x');
    changesAsked();
    const { code, stderr } = await deploy();
    expect([code, changesAsked()]).toEqual([0, ['POST /v1/functions/a/versions', 'POST /v1/functions/a/builds']]);
    expect(stderr).toContain('it does not start: there is no image x');
    api.fail('POST /v1/functions/a/versions', 'bad_request', 'no such secret is stored');
    known.set('a', { ...known.get('a'), project: 'other' });
    expect((await deploy()).code).toBe(1);
    expect(changesAsked()).toEqual(['POST /v1/functions/a/versions']);
  });

  it('deploys the functions named with --only', async () => {
    write(repository);
    await deploy(['--only', 'b']);
    expect(changesAsked()).toEqual(['POST /v1/functions/b/builds']);
    expect((await deploy(['--only', 'b,nobody'])).code).toBe(2);
    expect((await deploy(['--only', 'b', '--prune'])).code).toBe(2);
    expect(changesAsked()).toEqual([]);
  });
});

describe('--local', () => {
  it('is needed to name a registry, and ECR needs a region; nothing is asked before', async () => {
    write(repository);
    for (const args of [
      ['--registry', 'r.example.com/kiln'],
      ['--ecr-repository', 'kiln', '--aws-region', 'eu-west-1'],
      ['--local', '--ecr-repository', 'kiln'],
      ['--local', '--registry', 'https://r.example.com'],
      ['--local', '--registry', 'r.example.com', '--ecr-repository', 'kiln', '--aws-region', 'eu-west-1'],
    ])
      expect((await deploy(args)).code, args.join(' ')).toBe(2);
    expect(changesAsked()).toEqual([]);
  });

  it('says that it needs an engine where none answers', async () => {
    write(repository);
    const env = { KILN_HOME: root, KILN_URL: api.url, KILN_API_KEY: KEY, DOCKER_HOST: `unix://${root}/none.sock` };
    const { code, stderr } = await kiln(['deploy', root, '--local', '--only', 'a'], { env });
    expect([code, stderr]).toEqual([3, expect.stringContaining('no Docker engine answers')]);
    expect(changesAsked()).toEqual([]);
  });
});

describe('--prune', () => {
  beforeEach(() => {
    write(repository);
    known.set('old', { project: 'shop' }).set('theirs', { project: 'other' }).set('b', {});
  });

  it('removes what the project deployed and no longer declares, and nothing of anybody else', async () => {
    const { code, stdout } = await deploy(['--prune', '--yes']);
    expect(code).toBe(0);
    expect(lines(stdout).at(-1)).toEqual({ function: 'old', removed: true });
    expect([...known.keys()].sort()).toEqual(['a', 'b', 'theirs']);
  });

  it('asks on a terminal before anything is sent, and wants --yes elsewhere', async () => {
    expect(await deploy(['--prune'])).toMatchObject({ code: 2, stderr: expect.stringContaining('--yes') });
    expect(await deploy(['--prune'], { typed: 'n\n' })).toMatchObject({ code: 1, stderr: expect.stringContaining('"old"') });
    expect(changesAsked()).toEqual([]);
    const { stdout } = await deploy(['--prune'], { typed: 'y\n' });
    expect(stdout).toMatch(/old +removed/);
    expect(known.has('old')).toBe(false);
  });

  it('does not ask where there is nothing to remove', async () => {
    known.delete('old');
    expect((await deploy(['--prune'])).code).toBe(0);
  });

  it('removes nothing when a deployment failed', async () => {
    api.fail('POST /v1/functions/a/builds', 'start_failed', 'it threw');
    const { code, stderr } = await deploy(['--prune', '--yes']);
    expect([code, known.has('old')]).toEqual([1, true]);
    expect(stderr).toContain('it threw');
  });

  it('needs to know which project this is', async () => {
    write({ 'kiln.json': '{}' });
    expect(await deploy(['--prune', '--yes'])).toMatchObject({ code: 2, stderr: expect.stringContaining('"project"') });
    expect(changesAsked()).toEqual([]);
  });
});

describe('--dry-run', () => {
  it('says key by key what would change, what is kept and what is removed, and does nothing', async () => {
    write({ ...repository, 'b/kiln.json': '{"memory":512,"env":{"MODE":"x"}}', 'c/kiln.json': '{}', 'c/index.js': '' });
    await deploy(['--only', 'a']);
    changesAsked();
    known.set('b', {}).set('old', { project: 'shop' });
    const { code, stdout } = await deploy(['--prune', '--dry-run']);
    expect(code).toBe(0);
    expect(lines(stdout)).toEqual([
      { function: 'a', action: 'keep', version: 2, changes: [] },
      {
        function: 'b',
        action: 'build',
        version: 2,
        changes: [
          { key: 'memory', from: 256, to: 512 },
          { key: 'env.MODE', from: 'unset', to: 'set' },
        ],
      },
      { function: 'c', action: 'create' },
      { function: 'old', action: 'remove' },
    ]);
    const { stdout: text } = await deploy(['--prune', '--dry-run', '-o', 'text']);
    expect(text).toMatch(/a +v2 +unchanged/);
    expect(text).toMatch(/memory: 256 -> 512/);
    expect(text).toMatch(/c +- +would be built: it is new/);
    expect(text).toMatch(/old +- +would be removed/);
    expect(changesAsked()).toEqual([]);
  });
});
