import net from 'node:net';
import { buildRunnerImage, buildTestImage } from '@kiln/testing/images/test-image';
import { describe, expect, it, vi } from 'vitest';
import { codeOf, instanceOf, type NodeAnswer, sleepCode } from '../node.fixture.js';
import { image, images, node, times, withEvaluatingNode } from './with-evaluating-node.fixture.js';

withEvaluatingNode();

const instances = (answers: NodeAnswer[]) => new Set(answers.map(instanceOf)).size;

describe('a node', () => {
  it('answers the first call from a new instance and the second from the same, warm', async () => {
    node.add('hello', image);
    const first = await node.call('hello', { path: '/a%2Fb?c=d' });
    const second = await node.call('hello');
    expect([first.status, first.text, first.headers['x-kiln-start']]).toEqual([200, '"hello"', 'cold']);
    expect([second.status, second.headers['x-kiln-start'], instanceOf(second)]).toEqual([200, 'warm', instanceOf(first)]);
    expect(second.headers['x-kiln-node']).toBe(node.node);
    expect(second.headers['x-kiln-timing']).toMatch(/^0;0;[\d.]+$/);
  });

  it('refuses callers without the secret and says nothing to them', async () => {
    const answer = await node.call('hello', { headers: { 'x-kiln-secret': 'wrong' } });
    expect([answer.status, codeOf(answer), answer.headers['x-kiln-node']]).toEqual([401, 'unauthorized', undefined]);
    expect((await node.call('hello', { headers: { 'x-kiln-secret': '' } })).status).toBe(401);
  });

  it('says to anyone that its door answers, unless another node is meant, and leaves a function its own path of that name', async () => {
    const ask = async (headers: Record<string, string> = {}) => (await fetch(`http://127.0.0.1:${node.port}/healthz`, { headers })).status;
    expect(await ask()).toBe(200);
    expect(await ask({ 'x-kiln-node': node.node })).toBe(200);
    expect(await ask({ 'x-kiln-node': 'another' })).toBe(421);
    const own = await node.call('hello', { path: '/healthz' });
    expect([own.status, own.headers['x-kiln-start']]).toEqual([200, 'warm']);
  });

  it('says that nothing was executed where it does not know the version', async () => {
    const answer = await node.call('hello', { version: 9 });
    expect([answer.status, codeOf(answer), answer.headers['x-kiln-not-executed']]).toEqual([404, 'version_not_found', '1']);
  });

  it('shows an instance none of the platform’s headers, and takes none from it', async () => {
    const code = `response.setHeader('x-kiln-node', 'mine'); response.setHeader('X_Kiln_Error', 'x'); return request.rawHeaders`;
    const answer = await node.call('hello', { body: code, headers: { 'X-Repeated': ['1', '2'] } });
    const seen = JSON.parse(answer.text) as string[];
    expect(seen.filter((name) => /kiln/i.test(name))).toEqual([]);
    expect(seen.filter((name) => name === 'X-Repeated')).toHaveLength(2);
    expect(seen).toContain('r-1');
    expect(answer.headers['x-kiln-node']).toBe(node.node);
    expect(codeOf(answer)).toBeUndefined();
  });
});

describe('concurrency', () => {
  it('of 1: five calls at once run in five instances', async () => {
    node.add('five', image);
    expect(instances(await times(5, () => node.call('five', { body: sleepCode(5000) })))).toBe(5);
  });

  it('of 10: five calls at once run in one', async () => {
    node.add('one', image, { concurrency: 10 });
    expect(instances(await times(5, () => node.call('one', { body: sleepCode(300) })))).toBe(1);
  });

  it('of 50: fifty first calls make exactly one container', async () => {
    node.add('fifty', image, { concurrency: 50 });
    const answers = await times(50, () => node.call('fifty', { body: sleepCode(50) }));
    expect(answers.map(({ status, text }) => [status, text])).toEqual(Array(50).fill([200, '"slept"']));
    expect(instances(answers)).toBe(1);
    expect(await node.containers('fifty')).toHaveLength(1);
  });

  it('of 1 with maxInstances 5: fifty calls are all answered by exactly five', async () => {
    node.add('capped', image, { maxInstances: 5 });
    const answers = await times(50, () => node.call('capped', { body: sleepCode(300) }));
    expect(answers.map(({ status }) => status)).toEqual(Array(50).fill(200));
    expect(instances(answers)).toBe(5);
  });

  it('with a full queue: 429 at once, and nothing was executed', async () => {
    node.add('narrow', image, { maxInstances: 1, queue: 2 });
    const answers = await times(10, () => node.call('narrow', { body: sleepCode(500) }));
    const refused = answers.filter(({ status }) => status !== 200);
    expect(refused).toHaveLength(7);
    for (const answer of refused) {
      expect([answer.status, codeOf(answer), answer.headers['x-kiln-not-executed']]).toEqual([429, 'concurrency_limit', '1']);
      expect(answer.headers['retry-after']).toBe('1');
      expect(answer.ms).toBeLessThan(400);
    }
  });
});

describe('a client that leaves', () => {
  it('frees the lease at once and ends the function’s work, where an instance runs several at a time', async () => {
    node.add('left', image, { maxInstances: 1, concurrency: 2 });
    await node.call('left');
    const request = node.request('left', { method: 'POST', headers: { 'content-length': sleepCode(60_000).length } });
    request.on('error', () => undefined);
    request.end(sleepCode(60_000));
    await vi.waitFor(() => expect(node.parts.pools.find('left', 1)?.census.now.busy).toBe(1), 10_000);
    request.destroy();
    // The instance takes another call at a time, so this one may be there before the end of the first.
    const answer = await vi.waitFor(async () => {
      const next = await node.call('left', { body: 'return globalThis.closed' });
      expect([next.status, next.text]).toEqual([200, '1']);
      return next;
    }, 10_000);
    expect(answer.ms).toBeLessThan(2000);
  });

  it('while it waits leaves its place', async () => {
    node.add('waits', image, { maxInstances: 1, queue: 1 });
    const first = node.call('waits', { body: sleepCode(800) });
    await vi.waitFor(() => expect(node.parts.pools.find('waits', 1)?.census.now.busy).toBe(1), 5000);
    const waiting = node.request('waits');
    waiting.on('error', () => undefined);
    waiting.end();
    await vi.waitFor(() => expect(node.parts.pools.find('waits', 1)?.waiting).toBe(1), 10_000);
    waiting.destroy();
    await vi.waitFor(() => expect(node.parts.pools.find('waits', 1)?.waiting).toBe(0), 10_000);
    expect((await node.call('waits')).status).toBe(200);
    await first;
  });
});

describe('an upgrade', () => {
  it('is spliced, holds the lease, and frees it at its end', async () => {
    const code =
      "server.once('upgrade', (r, s) => { s.write('HTTP/1.1 101 S\\r\\nConnection: Upgrade\\r\\nUpgrade: x\\r\\n\\r\\n'); s.pipe(s); });";
    images.push(await buildRunnerImage(`export default (q, r, server) => { ${code} r.end('listening'); };`));
    node.add('socket', images.at(-1)!.id, { maxInstances: 1 });
    await node.call('socket');
    const socket = net.connect(node.port, '127.0.0.1');
    const head = ['GET / HTTP/1.1', 'Host: x', 'Connection: Upgrade', 'Upgrade: x', 'x-kiln-secret: a-cluster-secret-for-tests'];
    socket.write([...head, 'x-kiln-function: socket', 'x-kiln-version: 1', 'x-request-id: r', '', ''].join('\r\n'));
    let seen = '';
    socket.on('data', (chunk) => {
      seen += String(chunk);
    });
    await vi.waitFor(() => expect(seen).toMatch(/^HTTP\/1.1 101[\s\S]*x-kiln-instance: /), 10_000);
    socket.write('ping');
    await vi.waitFor(() => expect(seen.endsWith('ping')).toBe(true), 10_000);
    expect(node.parts.pools.find('socket', 1)?.census.now.busy).toBe(1);
    socket.destroy();
    await vi.waitFor(() => expect(node.parts.pools.find('socket', 1)?.census.now.busy).toBe(0), 10_000);
  });
});

describe('an HTTP image', () => {
  it('is reached on its port and given the contract’s variables', async () => {
    const server = `require('http').createServer((q, r) => r.end(JSON.stringify(process.env))).listen(process.env.PORT)`;
    images.push(await buildTestImage({ Dockerfile: `FROM node:24-trixie-slim\nCMD ["node", "-e", ${JSON.stringify(server)}]\n` }));
    node.add('web', images.at(-1)!.id, { port: 3456, env: { A: 'b' } }, 'http');
    const answers = await times(5, () => node.call('web'));
    expect(answers.map(({ status }) => status)).toEqual(Array(5).fill(200));
    expect(instances(answers)).toBe(1);
    expect(JSON.parse(answers[0]!.text)).toMatchObject({ PORT: '3456', HOME: '/tmp', KILN_FUNCTION: 'web', KILN_VERSION: '1', A: 'b' });
  });
});
