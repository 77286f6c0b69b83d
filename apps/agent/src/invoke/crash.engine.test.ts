import { buildTestImage } from '@kiln/testing/images/test-image';
import { describe, expect, it, vi } from 'vitest';
import { codeOf, instanceOf, type NodeAnswer, sleepCode } from '../node.fixture.js';
import { image, images, node, times, withEvaluatingNode } from './with-evaluating-node.fixture.js';

withEvaluatingNode();

const hungryWorker = `
  const worker = require('node:child_process').spawn(process.execPath, ['-e', 'const all = []; for (;;) all.push(Buffer.alloc(8 << 20, 1))']);
  const killed = new Promise((resolve) => worker.once('exit', resolve));`;
const detailOf = (answer: NodeAnswer) => (JSON.parse(answer.text) as { detail: string }).detail;

describe('an instance that dies under a request', () => {
  it('by exit: 502 with the code', async () => {
    node.add('exits', image);
    const answer = await node.call('exits', { body: 'process.exit(3)' });
    expect([answer.status, codeOf(answer), detailOf(answer)]).toEqual([502, 'function_crashed', 'the process exited with code 3']);
    expect(answer.headers['x-kiln-not-executed']).toBeUndefined();
    expect((await node.call('exits')).status).toBe(200);
  });

  it.each([
    ['outside the heap', 'const all = []; for (;;) { all.push(Buffer.alloc(8 << 20, 1)); await new Promise((r) => setImmediate(r)); }'],
    ['in the heap', 'const all = []; for (;;) all.push(Array(1e5).fill(Math.random()))'],
  ])('by memory %s: 502 that says so', async (_where, code) => {
    node.add('hungry', image, { timeout: 30_000 });
    const answer = await node.call('hungry', { body: code });
    expect([answer.status, codeOf(answer)]).toEqual([502, 'function_crashed']);
    expect(detailOf(answer)).toMatch(/out of memory/);
  });

  it('by memory in a worker whose main process lives: 502 that says so, and the next call runs in a new one', async () => {
    node.add('master', image, { timeout: 30_000 });
    const before = await node.call('master');
    // As the main process of a server with workers does: the connection of one that was killed is cut.
    const answer = await node.call('master', {
      body: `${hungryWorker} await killed; request.socket.destroy(); await new Promise(() => {})`,
    });
    expect([answer.status, codeOf(answer)]).toEqual([502, 'function_crashed']);
    expect(JSON.parse(answer.text)).toMatchObject({
      detail: 'a process of the function ran out of memory (limit 128 MB, all of them together)',
      fix: 'raise "memory" in kiln.json',
    });
    const next = await node.call('master');
    expect([next.status, instanceOf(next) === instanceOf(before)]).toEqual([200, false]);
  });

  it('from outside: 502, and the next call runs in a new one', async () => {
    node.add('removed', image);
    const before = await node.call('removed');
    const running = node.call('removed', { body: sleepCode(5000) });
    await vi.waitFor(() => expect(node.parts.pools.find('removed', 1)?.census.now.busy).toBe(1), 10_000);
    const [container] = await node.containers('removed');
    await node.parts.docker.getContainer(container!.Id).remove({ force: true });
    expect((await running).status).toBe(502);
    const next = await node.call('removed');
    expect(next.status).toBe(200);
    expect(instanceOf(next)).not.toBe(instanceOf(before));
  });

  it('is not used again where it only cut the connection', async () => {
    node.add('rude', image);
    const before = await node.call('rude');
    const answer = await node.call('rude', { body: 'request.socket.destroy(); await new Promise(() => {})' });
    expect([answer.status, codeOf(answer)]).toEqual([502, 'function_crashed']);
    // Its handler may be at work still, and nobody says when it ends.
    expect(instanceOf(await node.call('rude'))).not.toBe(instanceOf(before));
  });
});

describe('an image that somebody removed while its function slept', () => {
  it('is named, with the command that brings it back', async () => {
    const files = {
      Dockerfile:
        'FROM node:24-trixie-slim\nCMD ["node", "-e", "require(\'http\').createServer((q, s) => s.end(\'awake\')).listen(8080)"]\n',
    };
    const built = await buildTestImage(files);
    node.add('sleeper', built.id, {}, 'http');
    expect((await node.call('sleeper')).text).toBe('awake');
    const pool = node.parts.pools.find('sleeper', 1)!;
    for (const instance of pool.instances) pool.evict(instance);
    await vi.waitFor(() => expect(pool.empty).toBe(true), 10_000);
    await node.parts.docker.getImage(built.id).remove({ force: true });
    const answer = await node.call('sleeper');
    expect([answer.status, codeOf(answer)]).toEqual([502, 'start_failed']);
    expect(JSON.parse(answer.text)).toMatchObject({
      detail: expect.stringContaining(`image ${built.id} is not on this node: it was removed`),
      fix: 'kiln deploy',
    });
    expect([...node.parts.images.lost]).toEqual([built.id]);
  });
});

describe('a version that cannot start', () => {
  it('for want of its image is start_failed', async () => {
    node.add('no-image', `sha256:${'0'.repeat(64)}`);
    const answer = await node.call('no-image');
    expect([answer.status, codeOf(answer), answer.headers['x-kiln-not-executed']]).toEqual([502, 'start_failed', '1']);
  });

  it('because it exits at once is start_failed with its last lines, and not tried again and again', async () => {
    const files = { Dockerfile: 'FROM node:24-trixie-slim\nCMD ["node", "-e", "console.log(\'bye\'); process.exit(4)"]\n' };
    images.push(await buildTestImage(files));
    node.add('exits-at-once', images.at(-1)!.id, {}, 'http');
    const answers = await times(10, () => node.call('exits-at-once'));
    for (const answer of answers) {
      expect([answer.status, codeOf(answer)]).toEqual([502, 'start_failed']);
      expect(detailOf(answer)).toMatch(/code 4.*\nbye/);
    }
    const made = node.parts.pools.find('exits-at-once', 1)?.census.ever.created;
    const again = await times(20, () => node.call('exits-at-once'));
    expect(again.every(({ status, ms }) => status === 502 && ms < 1000)).toBe(true);
    // A refusal without a start is at once, though another file's load may hold one of them up.
    expect(again.filter(({ ms }) => ms < 200).length).toBeGreaterThan(10);
    expect(node.parts.pools.find('exits-at-once', 1)?.census.ever.created).toBe(made);
  });

  it('because it listens on another port, or for itself only, is told so with the line to write, long before its time is over', async () => {
    for (const [name, listen, fix] of [
      ['other-port', '3000', /^set "port": 3000 /],
      ['own-host', '8080, "127.0.0.1"', /^listen on 0\.0\.0\.0$/],
    ] as const) {
      const script = `require('http').createServer((q, s) => s.end()).listen(${listen})`;
      images.push(await buildTestImage({ Dockerfile: `FROM node:24-trixie-slim\nCMD ${JSON.stringify(['node', '-e', script])}\n` }));
      node.add(name, images.at(-1)!.id, {}, 'http');
      const answer = await node.call(name);
      expect([answer.status, codeOf(answer)]).toEqual([502, 'start_failed']);
      expect(JSON.parse(answer.text).fix).toMatch(fix);
      expect(answer.ms).toBeLessThan(10_000);
    }
  });

  it('because it never listens is start_timeout with its last lines', async () => {
    const files = { Dockerfile: 'FROM node:24-trixie-slim\nCMD ["node", "-e", "console.log(\'here\'); setInterval(() => {}, 1000)"]\n' };
    images.push(await buildTestImage(files));
    node.add('silent', images.at(-1)!.id, { startTimeout: 1500 }, 'http');
    const answer = await node.call('silent');
    expect([answer.status, codeOf(answer)]).toEqual([504, 'start_timeout']);
    expect(detailOf(answer)).toMatch(/port 8080 within 1500 ms.*\nhere/);
    await vi.waitFor(async () => expect(await node.containers('silent')).toEqual([]), 5000);
  });
});
