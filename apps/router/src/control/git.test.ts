import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CreatedKey } from '@kiln/contract/api/control-api';
import type { Scope, VersionRecord } from '@kiln/contract/records/records';
import type { Traffic } from '@kiln/contract/records/traffic';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ADMIN_KEY, buildsTo, built } from './cluster.fixture.js';
import { PushCluster } from './git.fixture.js';

let pushes: PushCluster;

beforeAll(async () => {
  pushes = await PushCluster.start();
});
beforeEach(() => pushes.reset());
afterAll(() => pushes?.stop());

const MODULE = 'export default (req, res) => res.end()';
const function_ = (name: string, code = MODULE) => ({ [`${name}/kiln.json`]: '{}', [`${name}/index.js`]: code });

const versions = async (name: string) =>
  (await pushes.cluster.api('GET', `/v1/functions/${name}/versions`)).json<{ items: VersionRecord[] }>().items;
const traffic = async (name: string) => (await pushes.cluster.api('GET', `/v1/functions/${name}/traffic`)).json<Traffic>();

async function keyWith(scope: Scope): Promise<string> {
  return (await pushes.cluster.api('POST', '/v1/keys', { name: `${scope} key`, scopes: [scope] })).json<CreatedKey>().apiKey;
}

describe('git push', () => {
  it('deploys main, shows the build as it goes, and remembers who pushed what', async () => {
    const folder = await pushes.folder('first', { 'index.js': MODULE, 'run.sh': '#!/bin/sh\n' });
    await folder.git('update-index', '--chmod=+x', 'run.sh');
    await folder.git('commit', '--quiet', '--amend', '--message', 'Say hello');
    const { text } = await folder.git('push', 'kiln', 'main');
    expect(text).toContain('remote: first | a line of the build');
    expect(text).toContain('remote: first: version 1 serves at http://localhost:8080/fn/first/');
    expect(pushes.sent).toEqual([{ function: 'first', files: { 'index.js': MODULE, 'run.sh*': '#!/bin/sh\n' } }]);
    const [version] = await versions('first');
    expect(version).toMatchObject({ createdBy: 'KILN_ADMIN_KEY', message: expect.stringMatching(/^[0-9a-f]{10} Say hello$/) });
    expect((await folder.git('ls-remote', 'kiln')).text).toContain('refs/heads/main');
  });

  it('builds again what has not changed and has lost its image', async () => {
    const folder = await pushes.folder('cleaning', function_('cleaned'));
    pushes.cluster.script.build = buildsTo({ ...built('sha256:cleaned'), image: 'missing' });
    await folder.git('push', 'kiln', 'main');
    await folder.commit({ 'README.md': 'more' });
    const { text } = await folder.git('push', 'kiln', 'main');
    expect(text).toContain('cleaned: building');
    expect(text).not.toContain('unchanged');
  });

  it('builds again only what has changed since what serves', async () => {
    const folder = await pushes.folder('several', { ...function_('one'), ...function_('two'), 'README.md': '' });
    await folder.git('push', 'kiln', 'main');
    expect(pushes.sent.map((sent) => sent.function)).toEqual(['one', 'two']);
    await folder.commit({ 'two/index.js': `${MODULE} // 2` });
    const second = await folder.git('push', 'kiln', 'main');
    expect(second.text).toContain('one: unchanged, version 1 serves on');
    expect(pushes.sent.map((sent) => sent.function)).toEqual(['one', 'two', 'two']);
    await pushes.cluster.api('POST', '/v1/functions/two/rollback', {});
    await folder.commit({ 'README.md': 'more' });
    await folder.git('push', 'kiln', 'main');
    expect(
      pushes.sent.map((sent) => sent.function),
      'what was rolled back is not what was pushed',
    ).toEqual(['one', 'two', 'two', 'two']);
  });

  it('takes the root for a function by whatever a build would recognise', async () => {
    const files = { 'handler.py': 'def handler(event):\n  return event\n', ...function_('below') };
    const folder = await pushes.folder('python', { ...files, 'requirements.txt': `${'#'.repeat(200_000)}\n` });
    await folder.git('push', 'kiln', 'main');
    expect(pushes.sent.map((sent) => sent.function)).toEqual(['python']);
    await folder.git('rm', '--quiet', 'handler.py');
    await folder.commit({ ...function_('below', `${MODULE} // 2`), 'package.json': '{"scripts":{"start":"docker compose up"}}' });
    await folder.git('push', 'kiln', 'main');
    expect(pushes.sent.map((sent) => sent.function)).toEqual(['python', 'below']);
  });

  it('says which variables of a .env that stays behind nothing sets, and no value', async () => {
    const files = { 'index.js': MODULE, 'kiln.json': '{"env":{"KNOWN":"1"}}', '.env': 'GREETING=Moin\nKNOWN=1\n' };
    const folder = await pushes.folder('dotenv', files);
    const { text } = await folder.git('push', 'kiln', 'main');
    expect(text).toContain('dotenv: .env is not sent, and kiln.json does not set GREETING: write');
    expect(text).not.toContain('Moin');
    await folder.commit({ '.kilnignore': '!.env\n' });
    expect((await folder.git('push', 'kiln', 'main')).text).not.toContain('is not sent');
  });

  it('names functions that are not in the repository any more, and removes none', async () => {
    const folder = await pushes.folder('leaving', { ...function_('stays'), ...function_('goes') });
    await folder.git('push', 'kiln', 'main');
    await folder.git('rm', '-r', '--quiet', 'goes');
    await folder.commit({});
    expect((await folder.git('push', 'kiln', 'main')).text).toContain('to remove it: kiln rm goes');
    expect(await traffic('goes')).toEqual([{ version: 1, weight: 100 }]);
  });

  it('sends files byte for byte: attributes, filters and hooks of the repository change nothing', async () => {
    const files = {
      'index.js': 'one\ntwo\n$Format:%H$ $Id$\n',
      '.gitattributes': '* text eol=crlf export-subst ident filter=evil working-tree-encoding=UTF-16\nsecret.txt export-ignore\n',
      'secret.txt': 'sent\n',
      '.gitconfig': '[filter "evil"]\n\tsmudge = touch /tmp/kiln-evil\n',
      'hooks/pre-receive': '#!/bin/sh\ntouch /tmp/kiln-evil\n',
      '.kilnignore': 'notes\n',
      'notes/todo': 'not sent',
    };
    const folder = await pushes.folder('raw', { 'index.js': '' });
    await folder.git('config', 'core.attributesFile', '/dev/null');
    folder.write(files);
    for (const [path, content] of Object.entries(files)) {
      folder.write({ '../blob': content });
      const id = (await folder.git('hash-object', '-w', '--no-filters', '../blob')).text.trim();
      await folder.git('update-index', '--add', '--cacheinfo', `100644,${id},${path}`);
    }
    await folder.git('commit', '--quiet', '--message', 'raw');
    await folder.git('push', 'kiln', 'main');
    const { 'notes/todo': _, ...expected } = files;
    expect(pushes.sent).toEqual([{ function: 'raw', files: expected }]);
    expect(existsSync('/tmp/kiln-evil')).toBe(false);
  });

  it('shows nothing of a build that steers a terminal', async () => {
    const held = pushes.holdBuilds();
    const folder = await pushes.folder('escapes', { 'index.js': MODULE });
    const push = folder.run(['push', 'kiln', 'main']);
    const response = await held;
    response.write(`${JSON.stringify({ type: 'log', line: '\u001b]0;title\u0007\u001b[31mred\u001b[0m\rover\nok' })}\n`);
    pushes.finish(response);
    const { text } = await push;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they must not be there
    expect(text.replaceAll('\u001b[K', '')).not.toMatch(/[\u0000-\u0008\u000b-\u001f]/);
    expect(text).toContain('over ok');
  });
});

describe('a push that fails', () => {
  it('leaves main and all traffic as they were, also of functions that could be built', async () => {
    const folder = await pushes.folder('broken', { ...function_('good'), ...function_('worse') });
    await folder.git('push', 'kiln', 'main');
    const before = (await folder.git('ls-remote', 'kiln', 'main')).text;
    await folder.commit({ ...function_('good', '2'), ...function_('worse', '2') });
    pushes.cluster.script.prove = ({ image }) =>
      image.endsWith('bad') ? { code: 'start_failed', detail: 'exit code 1\nError: boom' } : 'ready';
    const { build } = pushes.cluster.script;
    pushes.cluster.script.build = (request, response) => {
      if (request.url?.includes('function=worse&'))
        response.end(JSON.stringify({ type: 'built', image: 'bad', digest: 'bad', kind: 'runner', config: {} }));
      else build(request, response);
    };
    const { code, text } = await folder.run(['push', 'kiln', 'main']);
    expect(code).toBe(1);
    expect(text).toContain('worse: exit code 1');
    expect(text).toContain('remote: Error: boom');
    expect(text).toContain('main has not moved');
    expect(text).toContain('[remote rejected] main -> main (pre-receive hook declined)');
    expect((await folder.git('ls-remote', 'kiln', 'main')).text).toBe(before);
    expect(await traffic('good')).toEqual([{ version: 1, weight: 100 }]);
    expect(await traffic('worse')).toEqual([{ version: 1, weight: 100 }]);
    expect(pushes.quarantined('broken')).toEqual([]);
  });

  it('says which secret is missing, or which value is wrong, before anything is built', async () => {
    const files = { 'a/kiln.json': '{}', 'a/index.js': MODULE, 'b/index.js': MODULE };
    const folder = await pushes.folder('early', { ...files, 'b/kiln.json': '{"secrets":["NO_SUCH"]}' });
    const { text } = await folder.run(['push', 'kiln', 'main']);
    expect(text).toMatch(
      /b: kiln\.json\.secrets\[0\] names NO_SUCH, and no such secret is stored[\s\S]*next: store it: kiln secrets set NO_SUCH/,
    );
    await folder.commit({ 'b/kiln.json': '{"minInstances":3,"maxInstances":2}' });
    expect((await folder.run(['push', 'kiln', 'main'])).text).toContain('b: kiln.json.minInstances must not be more than maxInstances');
    expect(text).not.toContain('malformed');
    expect(pushes.sent).toEqual([]);
  });

  it('says what is wrong in which file', async () => {
    const folder = await pushes.folder('wrong', { 'a/kiln.json': '{ "memry": 1 }' });
    expect((await folder.run(['push', 'kiln', 'main'])).text).toMatch(/a\/kiln.json: .*memry.* did you mean "memory"/);
    await folder.commit({ 'a/kiln.json': '{' });
    expect((await folder.run(['push', 'kiln', 'main'])).text).toContain('a/kiln.json is not JSON');
    await folder.commit({ 'a/kiln.json': '{"name":"same"}', 'b/kiln.json': '{"name":"same"}' });
    expect((await folder.run(['push', 'kiln', 'main'])).text).toContain('two folders declare a function "same"');
    expect(pushes.sent).toEqual([]);
  });
});

describe('the door', () => {
  it.each([
    ['no key', (name: string) => pushes.urlOf(name, 'wrong'), 'remote: give an API key as the password', 'Authentication failed'],
    ['a name that is no project', () => pushes.urlOf('..%2Fescape'), 'remote: ', 'a project has a name'],
    ['an upper case name', () => pushes.urlOf('Upper'), 'remote: ', 'a project has a name'],
  ])('refuses %s, visibly', async (_, url, ...messages) => {
    const folder = await pushes.folder('door', { 'index.js': MODULE });
    const { code, text } = await folder.run(['push', url('door'), 'main']);
    expect(code).not.toBe(0);
    for (const message of messages) expect(text).toContain(message);
  });

  it('needs the scope deploy, and says so', async () => {
    const folder = await pushes.folder('scope', { 'index.js': MODULE });
    for (const scope of ['read', 'invoke'] as const) {
      const { code, text } = await folder.run(['push', pushes.urlOf('scope', await keyWith(scope)), 'main']);
      expect([code, text]).toEqual([
        128,
        expect.stringContaining('remote: The API key lacks the scope: the API key lacks the scope "deploy"'),
      ]);
    }
    expect(existsSync(join(pushes.cluster.home, 'git', 'scope.git'))).toBe(false);
    await folder.git('push', pushes.urlOf('scope', await keyWith('deploy')), 'main');
  });

  it('says that nothing was pushed yet, and where the address ends', async () => {
    const folder = await pushes.folder('nothing', { 'index.js': MODULE });
    expect((await folder.run(['ls-remote', 'kiln'])).text).toContain('nothing was pushed to "nothing" yet');
    const without = pushes.urlOf('nothing').replace(/\.git$/, '');
    expect((await folder.run(['ls-remote', without])).text).toContain('/git/nothing.git');
  });

  it('asks for Basic authentication with plain text, takes the key nowhere else, and serves no files of the repository', async () => {
    const basic = { authorization: `Basic ${Buffer.from(`any:${ADMIN_KEY}`).toString('base64')}` };
    const bare = await pushes.cluster.send('GET', '/git/x.git/info/refs?service=git-receive-pack', { headers: { 'user-agent': 'git/2' } });
    expect([bare.status, bare.headers['www-authenticate'], bare.headers['content-type']]).toEqual([
      401,
      'Basic realm="kiln", charset="UTF-8"',
      'text/plain; charset=utf-8',
    ]);
    expect((await pushes.cluster.send('GET', '/v1/functions', { headers: basic })).status).toBe(401);
    for (const path of ['/git/first.git/config', '/git/first.git/HEAD', '/git/first.git/objects/info/packs', '/git/.hooks/pre-receive']) {
      expect((await pushes.cluster.send('GET', path, { headers: basic })).status, path).toBe(404);
    }
    expect((await pushes.cluster.send('GET', '/git/first.git/info/refs', { headers: basic })).status).toBe(400);
  });

  it('keeps the key out of git’s own processes', async () => {
    const held = pushes.holdBuilds();
    const folder = await pushes.folder('secret', { 'index.js': MODULE });
    const push = folder.run(['push', 'kiln', 'main']);
    const response = await held;
    const ours = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && told(pid).includes(pushes.cluster.home));
    expect(ours.length).toBeGreaterThan(1);
    for (const pid of ours) expect(told(pid)).not.toContain(ADMIN_KEY.slice(18));
    pushes.finish(response);
    expect((await push).code).toBe(0);
  });
});

function told(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8') + readFileSync(`/proc/${pid}/environ`, 'utf8');
  } catch {
    return ''; // It has ended.
  }
}
