import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { until } from '@kiln/testing/until';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { ADMIN_KEY } from './cluster.fixture.js';
import { PushCluster } from './git.fixture.js';

const MODULE = 'export default (req, res) => res.end()';
let pushes: PushCluster;

beforeAll(async () => {
  pushes = await PushCluster.start();
});
beforeEach(() => pushes.reset());
afterAll(() => pushes?.stop());

it('a client that leaves in the middle of its pack leaves nothing behind', async () => {
  const folder = await pushes.folder('half', { 'index.js': MODULE });
  await folder.git('push', 'kiln', 'main:other');
  const commit = await folder.commit({ 'index.js': '2' });
  const authorization = `Basic ${Buffer.from(`git:${ADMIN_KEY}`).toString('base64')}`;
  const command = `${'0'.repeat(40)} ${commit} refs/heads/main\0 report-status side-band-64k`;
  const begin = `${(command.length + 4).toString(16).padStart(4, '0')}${command}0000PACK\0\0\0\u0002\0\0\u0001\0`;
  const head = ['POST /git/half.git/git-receive-pack HTTP/1.1', 'host: x', `authorization: ${authorization}`, 'content-length: 100000'];
  const socket = net.connect(pushes.cluster.controlPort, '127.0.0.1');
  socket.write(`${head.join('\r\n')}\r\ncontent-type: application/x-git-receive-pack-request\r\n\r\n${begin}`, 'latin1');
  await until('git receives', () => pushes.quarantined('half').length === 1);
  socket.destroy();
  await until('it is cleaned up', () => pushes.quarantined('half').length === 0);
  expect((await folder.git('push', 'kiln', 'main')).text).toContain('half: version 1 serves');
});

it('what is no push at all is answered, and deploys nothing', async () => {
  const folder = await pushes.folder('noise', { 'index.js': MODULE });
  await folder.git('push', 'kiln', 'main:other');
  const headers = { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': 'application/x-git-receive-pack-request' };
  for (const body of ['', '0000', 'zzzz', '0008\0\0\0\0', 'x'.repeat(100_000)]) {
    const answer = await pushes.cluster.send('POST', '/git/noise.git/git-receive-pack', { headers, body });
    expect([200, 503], body.slice(0, 10)).toContain(answer.status);
  }
  const packed = { ...headers, 'content-encoding': 'gzip' };
  expect((await pushes.cluster.send('POST', '/git/noise.git/git-receive-pack', { headers: packed, body: 'x' })).status).toBe(400);
  const other = { ...headers, 'content-type': 'text/html' };
  expect((await pushes.cluster.send('POST', '/git/noise.git/git-receive-pack', { headers: other, body: '0000' })).status).toBe(415);
  expect(pushes.sent).toEqual([]);
});

it('a push is refused with the reason when no node is there', async () => {
  const folder = await pushes.folder('away', { 'index.js': MODULE });
  pushes.cluster.beating = false;
  await until('the node is gone', async () => !(await pushes.cluster.api('GET', '/v1/nodes')).text.includes('"live":true'), 20_000);
  expect((await folder.run(['push', 'kiln', 'main'])).text).toContain('no node is in use');
  pushes.cluster.beating = true;
  await until('the node is back', async () => (await pushes.cluster.api('GET', '/v1/nodes')).text.includes('"live":true'), 20_000);
  await folder.git('push', 'kiln', 'main');
});

it('a push that comes too late for one of its functions says what it has deployed already', async () => {
  const function_ = (name: string) => ({ [`${name}/kiln.json`]: '{}', [`${name}/index.js`]: MODULE });
  const folder = await pushes.folder('overtaken', { ...function_('early'), ...function_('late') });
  const { build } = pushes.cluster.script;
  // Built, proved, and then somebody else deploys the second one by hand before the push comes to it.
  let overtaken: 'no' | 'soon' | 'yes' = 'no';
  pushes.cluster.script = {
    build,
    prove: ({ image }) => {
      if (image.includes('by-hand') || pushes.sent.length < 2) return 'ready';
      if (overtaken === 'no') {
        overtaken = 'soon';
        void pushes.cluster.api('POST', '/v1/functions/late/versions', { image: 'by-hand:1' }).then(() => (overtaken = 'yes'));
      }
      return overtaken === 'yes' ? 'ready' : 'wait';
    },
  };
  const { code, text } = await folder.run(['push', 'kiln', 'main']);
  expect(code).toBe(1);
  expect(text).toContain('late: version 2 of "late" was deployed meanwhile and has the traffic');
  expect(text).toContain('deployed before that: early');
  pushes.reset();
  const again = await pushes.folder('overtaken', { ...function_('early'), ...function_('late') });
  const second = await again.git('push', 'kiln', 'main');
  expect(second.text).toContain('early: unchanged, version 1 serves on');
  expect(second.text).toContain('late: version 3 serves');
});

it('a push whose store goes away is refused, and can be repeated', async () => {
  const folder = await pushes.folder('store', { 'index.js': MODULE });
  const held = pushes.holdBuilds();
  const push = folder.run(['push', 'kiln', 'main']);
  const response = await held;
  await pushes.cluster.redis.kill();
  pushes.finish(response);
  const { code, text } = await push;
  expect([code, text]).toEqual([1, expect.stringContaining('the store does not answer')]);
  await pushes.cluster.redis.restart();
  pushes.reset();
  const again = await pushes.folder('store', { 'index.js': MODULE });
  await until('the store is back', async () => (await again.run(['push', 'kiln', 'main'])).code === 0, 20_000);
});

it('a router without git, or without a place for what is pushed, says so', async () => {
  const bare = await PushCluster.start({ path: '/nonexistent' });
  try {
    const folder = await bare.folder('x', { 'index.js': MODULE });
    expect((await folder.run(['push', 'kiln', 'main'])).text).toContain(
      'remote: Not available for the moment: git is not installed where the router runs',
    );
  } finally {
    await bare.stop();
  }
  const file = join(pushes.cluster.home, 'file');
  writeFileSync(file, '');
  const homeless = await PushCluster.start({ home: file });
  try {
    const folder = await homeless.folder('x', { 'index.js': MODULE });
    expect((await folder.run(['push', 'kiln', 'main'])).text).toContain(`the router can't write to ${file}/git: ENOTDIR`);
  } finally {
    await homeless.stop();
  }
});

it('a push in progress when the router stops is cut off and has moved nothing', async () => {
  const stopping = await PushCluster.start({ drainTimeout: 0 });
  const folder = await stopping.folder('stops', { 'index.js': MODULE });
  const held = stopping.holdBuilds();
  const push = folder.run(['push', 'kiln', 'main']);
  const closed = once(await held, 'close');
  await stopping.stop();
  await closed;
  expect((await push).code).not.toBe(0);
});

it('asking for the refs of projects that nobody pushed to makes no repository', async () => {
  const headers = { authorization: `Bearer ${ADMIN_KEY}` };
  const before = pushes.repositories();
  for (let i = 0; i < 5; i++) {
    const answer = await pushes.cluster.send('GET', `/git/nobody-${i}.git/info/refs?service=git-receive-pack`, { headers });
    expect([answer.status, answer.headers['content-type']]).toEqual([200, 'application/x-git-receive-pack-advertisement']);
  }
  expect(pushes.repositories().filter((name) => name !== '_empty.git')).toEqual(before.filter((name) => name !== '_empty.git'));
});

it('pushes that are silent take no more than the share of their key', async () => {
  const folder = await pushes.folder('share', { 'index.js': MODULE });
  await folder.git('push', 'kiln', 'main:other');
  const other = (await pushes.cluster.api('POST', '/v1/keys', { name: 'silent', scopes: ['deploy'] })).json<{ apiKey: string }>().apiKey;
  const head = [
    'POST /git/share.git/git-receive-pack HTTP/1.1',
    'host: x',
    `authorization: Bearer ${other}`,
    'content-length: 100000',
    'content-type: application/x-git-receive-pack-request',
  ];
  const answers: string[] = [];
  const sockets = Array.from({ length: 12 }, () => {
    const socket = net.connect(pushes.cluster.controlPort, '127.0.0.1');
    socket.write(`${head.join('\r\n')}\r\n\r\n00`);
    socket.on('data', (data) => answers.push(data.toString('latin1')));
    return socket;
  });
  await until('those over the share are refused', () => answers.filter((text) => text.startsWith('HTTP/1.1 429')).length === 4);
  expect(answers.find((text) => text.startsWith('HTTP/1.1 429'))).toContain('this key has 8 git exchanges');
  expect((await folder.git('push', 'kiln', 'main')).text).toContain('share: version 1 serves');
  for (const socket of sockets) socket.destroy();
});
