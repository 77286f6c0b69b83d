import net from 'node:net';
import { buildRunnerImage, buildTestImage } from '@kiln/testing/test-image';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Answer, codeOf, EVALUATE, instanceOf, sleepCode, TestNode } from '../node.fixture.js';

/** A machine that runs other things beside may be late by this. */
const LATE_MS = 250;

let node: TestNode;
let image: string;
const images: { id: string; remove(): Promise<void> }[] = [];

beforeAll(async () => {
  images.push(await buildRunnerImage(EVALUATE));
  image = images[0]!.id;
  node = await TestNode.start({ memory: 8192 });
});
afterAll(async () => {
  await node?.stop();
  for (const made of images) await made.remove();
});

const times = <T>(count: number, action: (i: number) => Promise<T>) => Promise.all(Array.from({ length: count }, (_, i) => action(i)));
const instances = (answers: Answer[]) => new Set(answers.map(instanceOf)).size;
const detailOf = (answer: Answer) => (JSON.parse(answer.text) as { detail: string }).detail;

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

describe('a timeout', () => {
  it.each([['await new Promise(() => {})'], ['for (;;) {}']])('of "%s" is a 504, and the container is gone', async (code) => {
    node.add('late', image, { timeout: 700 });
    const before = await node.call('late');
    const answer = await node.call('late', { body: code });
    expect([answer.status, codeOf(answer)]).toEqual([504, 'function_timeout']);
    expect(answer.ms - 700).toBeLessThan(LATE_MS);
    await vi.waitFor(async () => {
      expect((await node.containers('late')).filter(({ Labels }) => Labels['kiln.instance'] === instanceOf(before))).toEqual([]);
    }, 5000);
    const next = await node.call('late');
    expect(next.status).toBe(200);
    expect(instanceOf(next)).not.toBe(instanceOf(before));
  });

  it('lets others in the instance finish and no new one in', async () => {
    node.add('shared', image, { timeout: 800, concurrency: 10, maxInstances: 1 });
    const id = instanceOf(await node.call('shared'));
    const stuck = node.call('shared', { body: 'await new Promise(() => {})' });
    await new Promise((resolve) => setTimeout(resolve, 400));
    const other = node.call('shared', { body: sleepCode(700) });
    expect((await stuck).status).toBe(504);
    const after = node.call('shared');
    const finished = await other;
    expect([finished.status, instanceOf(finished)]).toEqual([200, id]);
    const fresh = await after;
    expect(fresh.status).toBe(200);
    expect(instanceOf(fresh)).not.toBe(id);
  });

  it('after the answer began cuts the connection', async () => {
    node.add('cut', image, { timeout: 500 });
    await expect(node.call('cut', { body: 'response.write("begun"); await new Promise(() => {})' })).rejects.toThrow(
      /aborted|reset|hang up/,
    );
  });
});

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

  it('from outside: 502, and the next call runs in a new one', async () => {
    node.add('removed', image);
    const before = await node.call('removed');
    const running = node.call('removed', { body: sleepCode(5000) });
    await vi.waitFor(() => expect(node.parts.pools.find('removed', 1)?.census.now.busy).toBe(1));
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
    expect(instanceOf(await node.call('rude'))).toBe(instanceOf(before));
  });
});

describe('an idle instance', () => {
  it('is gone within 2 s of its idle time, counted from the end of its last request', async () => {
    node.add('idle', image, { idleTimeout: 600 });
    const longer = await node.call('idle', { body: sleepCode(1500) });
    expect(longer.status).toBe(200);
    const ended = performance.now();
    await vi.waitFor(async () => expect(await node.containers('idle')).toEqual([]), { timeout: 4000, interval: 20 });
    const gone = performance.now() - ended;
    expect(gone).toBeGreaterThan(550);
    expect(gone).toBeLessThan(2600);
  });

  it('makes room for another function when memory is short, the one unused longest first', async () => {
    const small = await TestNode.start({ memory: 600 });
    try {
      for (const name of ['a', 'b', 'c', 'd']) small.add(name, image, { memory: 200 });
      for (const name of ['a', 'b', 'c', 'a']) expect((await small.call(name)).status).toBe(200);
      expect((await small.call('d')).status).toBe(200);
      const left = (await small.containers()).map(({ Labels }) => Labels['kiln.function']).sort();
      expect(left).toEqual(['a', 'c', 'd']);
      small.add('large', image, { memory: 500 });
      const busy = small.call('a', { body: sleepCode(1500) });
      await vi.waitFor(() => expect(small.parts.pools.find('a', 1)?.census.now.busy).toBe(1));
      const refused = await small.call('large');
      expect([refused.status, codeOf(refused), refused.headers['x-kiln-not-executed']]).toEqual([503, 'no_capacity', '1']);
      expect((await small.containers()).length).toBe(3);
      expect((await busy).status).toBe(200);
      expect((await small.call('large')).status).toBe(200);
    } finally {
      await small.stop();
    }
  });
});

describe('a client that leaves', () => {
  it('frees the lease and ends the function’s work', async () => {
    node.add('left', image, { maxInstances: 1 });
    await node.call('left');
    const request = node.request('left', { method: 'POST', headers: { 'content-length': sleepCode(60_000).length } });
    request.on('error', () => undefined);
    request.end(sleepCode(60_000));
    await vi.waitFor(() => expect(node.parts.pools.find('left', 1)?.census.now.busy).toBe(1));
    request.destroy();
    const answer = await node.call('left', { body: 'return globalThis.closed' });
    expect([answer.status, answer.text]).toEqual([200, '1']);
    expect(answer.ms).toBeLessThan(2000);
  });

  it('while it waits leaves its place', async () => {
    node.add('waits', image, { maxInstances: 1, queue: 1 });
    const first = node.call('waits', { body: sleepCode(800) });
    await vi.waitFor(() => expect(node.parts.pools.find('waits', 1)?.census.now.busy).toBe(1), 5000);
    const waiting = node.request('waits');
    waiting.on('error', () => undefined);
    waiting.end();
    await vi.waitFor(() => expect(node.parts.pools.find('waits', 1)?.waiting).toBe(1));
    waiting.destroy();
    await vi.waitFor(() => expect(node.parts.pools.find('waits', 1)?.waiting).toBe(0));
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
    await vi.waitFor(() => expect(seen).toMatch(/^HTTP\/1.1 101[^]*x-kiln-instance: /));
    socket.write('ping');
    await vi.waitFor(() => expect(seen.endsWith('ping')).toBe(true));
    expect(node.parts.pools.find('socket', 1)?.census.now.busy).toBe(1);
    socket.destroy();
    await vi.waitFor(() => expect(node.parts.pools.find('socket', 1)?.census.now.busy).toBe(0));
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
    expect(again.every(({ status, ms }) => status === 502 && ms < 200)).toBe(true);
    expect(node.parts.pools.find('exits-at-once', 1)?.census.ever.created).toBe(made);
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

describe('what a function writes', () => {
  it('becomes log lines of its request', async () => {
    node.add('writes', image);
    await node.call('writes', {
      requestId: 'req-7',
      body: 'console.log("plain"); console.error("bad"); process.stdout.write(JSON.stringify({ kiln: 1, level: "warn", requestId: "other", message: "told" }).replace("{", "{") + "\\n")',
    });
    await vi.waitFor(() => expect(node.logs.filter((record) => record.function === 'writes')).toHaveLength(3));
    const seen = node.logs
      .filter((record) => record.function === 'writes')
      .map(({ level, message, requestId }) => ({ level, message, requestId }));
    expect(seen).toContainEqual({ level: 'info', message: 'plain', requestId: 'req-7' });
    expect(seen).toContainEqual({ level: 'error', message: 'bad', requestId: 'req-7' });
    expect(seen).toContainEqual({ level: 'warn', message: 'told', requestId: 'other' });
  });

  it('without end is bounded, said so, and does not hold up the node', async () => {
    node.add('floods', image, { timeout: 4000 });
    node.add('calm', image);
    await node.call('calm');
    const flood = node.call('floods', {
      body: 'const line = "x".repeat(99) + "\\n"; for (;;) if (!process.stdout.write(line.repeat(500))) await new Promise((r) => process.stdout.once("drain", r))',
    });
    await vi.waitFor(() => expect(node.logs.some(({ message }) => /log lines dropped/.test(message))).toBe(true), 5000);
    const calm = await times(20, () => node.call('calm'));
    expect(calm.every(({ status }) => status === 200)).toBe(true);
    const flooded = await flood;
    expect([flooded.status, codeOf(flooded)], flooded.text).toEqual([504, 'function_timeout']);
    expect(node.logs.filter((record) => record.function === 'floods').length).toBeLessThan(6000);
  });
});
