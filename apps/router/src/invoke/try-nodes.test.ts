import { describe, expect, it } from 'vitest';
import { connected, type Door, type DoorAnswer, echo, exchangeRaw, get, openDoor, refuseWith, text } from './door.fixture.js';

const cut: DoorAnswer = (request) => request.socket.destroy();
const served = (door: Door) => door.agents.map(({ id, requests }) => [id, requests.length]);
const post = (body: string, more = '') =>
  `POST /fn/hello/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\nConnection: close\r\n${more}\r\n${body}`;

it('a request that has waited its time at one node in vain waits at no other', async () => {
  const door = await openDoor({ agents: 3, functions: { hello: { startTimeout: 200 } } });
  const [home, next] = door.inOrder();
  home!.answer = (request, response) => void setTimeout(() => refuseWith(503, 'no_capacity', 'no room came')(request, response), 250);
  const answer = await exchangeRaw(door.port, post('hello'), 2000);
  expect(answer).toMatch(/^HTTP\/1\.1 503 [\s\S]*no room came/);
  expect(next!.requests).toHaveLength(0);
});

describe('a request goes on to the next node', () => {
  it.each(['concurrency_limit', 'no_capacity', 'unavailable', 'function_not_found', 'version_not_found'])(
    'when one refuses with %s and nothing was executed, whatever the method',
    async (code) => {
      const door = await openDoor({ agents: 3 });
      const [home, next] = door.inOrder();
      home!.answer = refuseWith(503, code);
      const answer = await exchangeRaw(door.port, post('hello'));
      expect(answer).toMatch(/^HTTP\/1\.1 200 [\s\S]*"bytes":5/);
      expect(next!.requests).toHaveLength(1);
      expect(door.records[0]).toMatchObject({ attempts: 2, node: next!.id, end: 'answered' });
    },
  );

  it('when there is no connection, and that node is left out from then on', async () => {
    const door = await openDoor({ agents: 3 });
    const [home, next] = door.inOrder();
    await home!.stop();
    expect(await exchangeRaw(door.port, post('hello'))).toMatch(/"bytes":5/);
    await expect.poll(() => door.inOrder()).not.toContain(home);
    expect(await exchangeRaw(door.port, post('hello'))).toMatch(/"bytes":5/);
    expect(door.records.map(({ attempts }) => attempts)).toEqual([2, 1]);
    expect(next!.requests).toHaveLength(2);
  });

  it.each([
    ['GET without a body', 'GET /fn/hello/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'],
    ['PUT with a small body', post('hello').replace('POST', 'PUT')],
  ])('when the connection breaks before an answer: %s', async (_what, bytes) => {
    const door = await openDoor({ agents: 2 });
    const [home, next] = door.inOrder();
    home!.answer = cut;
    expect(await exchangeRaw(door.port, bytes)).toMatch(/^HTTP\/1\.1 200 /);
    expect(home!.requests).toHaveLength(1);
    expect(next!.requests).toHaveLength(1);
  });

  it('when the node drains and the other one has come since the router read them', async () => {
    const door = await openDoor({ agents: 2, known: 1 });
    const [home] = door.inOrder();
    home!.answer = refuseWith(503, 'unavailable', 'the node is draining');
    expect(await exchangeRaw(door.port, post('hello'))).toMatch(/^HTTP\/1\.1 200 [\s\S]*"bytes":5/);
    expect(served(door)).toEqual([
      ['node-1', 1],
      ['node-2', 1],
    ]);
  });

  it('when the node drains and the door of the other one did not answer a moment ago', async () => {
    const door = await openDoor({ agents: 2 });
    const [home, next] = door.inOrder();
    await home!.stop();
    expect(await exchangeRaw(door.port, post('hello'))).toMatch(/"bytes":5/);
    await expect.poll(() => door.inOrder()).not.toContain(home);
    await home!.start();
    next!.answer = refuseWith(503, 'unavailable', 'the node is draining');
    expect(await exchangeRaw(door.port, post('hello'))).toMatch(/^HTTP\/1\.1 200 [\s\S]*"bytes":5/);
    expect(home!.requests).toHaveLength(1);
  });

  it('with a body that waits for 100 Continue, which is asked for once', async () => {
    const door = await openDoor({ agents: 2 });
    const [home, next] = door.inOrder();
    home!.answer = refuseWith(429, 'concurrency_limit');
    next!.answer = (request, response) => {
      response.writeProcessing();
      echo(request, response);
    };
    const client = await connected(door.port);
    client.write('POST /fn/hello/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n');
    await expect.poll(() => client.received()).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    client.write('hello');
    await expect.poll(() => client.received()).toContain('"bytes":5');
  });

  it('with a large body, of which no more than can be sent again had left', async () => {
    const door = await openDoor({ agents: 2, functions: { hello: { maxBody: 10_000_000 } } });
    const [home, next] = door.inOrder();
    home!.answer = (request, response) => {
      request.once('data', () => refuseWith(503, 'no_capacity')(request, response));
    };
    next!.answer = (request, response) => {
      response.writeProcessing();
      echo(request, response);
    };
    const body = 'a'.repeat(5_000_000);
    expect(await exchangeRaw(door.port, post(body), 2000)).toContain('"bytes":5000000');
    expect(door.records[0]).toMatchObject({ attempts: 2, requestBytes: 5_000_000 });
  });
});

describe('a request is not sent twice', () => {
  it('when the connection breaks under a POST: 502', async () => {
    const door = await openDoor({ agents: 3 });
    const [home] = door.inOrder();
    home!.answer = cut;
    const answer = await exchangeRaw(door.port, post('hello'));
    expect(answer).toMatch(/^HTTP\/1\.1 502 [\s\S]*node_lost[\s\S]*may have run/);
    expect(served(door).reduce((sum, [, count]) => sum + (count as number), 0)).toBe(1);
  });

  it('when a byte of an answer had come, even for GET', async () => {
    const door = await openDoor({ agents: 2 });
    door.inOrder()[0]!.answer = (request) => request.socket.end('HTTP/1.1 200 OK\r\nContent-Le');
    const response = await get(door);
    expect(response.statusCode).toBe(502);
    expect(
      served(door)
        .map(([, count]) => count)
        .sort(),
    ).toEqual([0, 1]);
  });

  it('when the node says that it may have run, or that the version can’t start', async () => {
    const door = await openDoor({ agents: 2 });
    const home = door.inOrder()[0]!;
    home.answer = (_request, response) => response.writeHead(503, ['x-kiln-error', 'no_capacity']).end('{}');
    expect((await get(door)).statusCode).toBe(503);
    home.answer = refuseWith(502, 'start_failed', 'its last log lines');
    const failed = await get(door);
    expect(failed.statusCode).toBe(502);
    expect(failed.headers).toMatchObject({ 'x-kiln-error': 'start_failed' });
    expect(failed.headers).not.toHaveProperty('x-kiln-not-executed');
    expect(await text(failed)).toContain('its last log lines');
    expect(home.requests).toHaveLength(2);
  });

  it('more than three times, however many nodes break', async () => {
    const door = await openDoor({ agents: 5, answer: cut });
    expect((await get(door)).statusCode).toBe(502);
    expect(door.records[0]!.attempts).toBe(3);
  });
});

describe('a node is not blamed', () => {
  it('for an answer that its function breaks off, nor for the function’s own errors', async () => {
    const door = await openDoor({
      answer: (request, response) => {
        if (request.url === '/error') response.writeHead(500).end();
        else response.write('half', () => response.destroy());
      },
    });
    await expect(text(await get(door, '/fn/hello/cut'))).rejects.toThrow();
    expect((await get(door, '/fn/hello/error')).statusCode).toBe(500);
    expect(door.inOrder()).toEqual(door.agents);
  });
});

describe('when no node takes the request', () => {
  it('a full function is 429 with what a node said, even if others have no room', async () => {
    const door = await openDoor({ agents: 3, answer: refuseWith(503, 'no_capacity', 'no memory') });
    door.agents[1]!.answer = refuseWith(429, 'concurrency_limit', 'the queue of 100 is full');
    const response = await get(door);
    expect(response.statusCode).toBe(429);
    expect(response.headers).toMatchObject({ 'retry-after': '1', 'x-kiln-error': 'concurrency_limit', 'x-kiln-version': '1' });
    expect(JSON.parse(await text(response))).toMatchObject({ detail: 'the queue of 100 is full' });
    expect(door.records[0]).toMatchObject({ attempts: 3, end: 'refused', code: 'concurrency_limit', status: 429 });
  });

  it('no room anywhere, nobody reachable and no node at all are 503', async () => {
    const door = await openDoor({ agents: 2, answer: refuseWith(503, 'no_capacity', 'no memory') });
    expect(JSON.parse(await text(await get(door)))).toMatchObject({ code: 'no_capacity', status: 503, detail: 'no memory' });
    await Promise.all(door.agents.map((agent) => agent.stop()));
    expect(JSON.parse(await text(await get(door)))).toMatchObject({ code: 'no_capacity', detail: 'none of 2 nodes could be reached' });
    const alone = await openDoor({ agents: 0 });
    expect((await get(alone)).headers).toMatchObject({ 'x-kiln-error': 'no_capacity', 'retry-after': '1' });
  });

  it('no load is left behind', async () => {
    const door = await openDoor({ agents: 3, answer: cut });
    await get(door);
    for (const node of door.nodes.live()) expect(node.load).toBe(0);
  });
});

describe('what callers may not know', () => {
  const config = { placementHeaders: false };

  it('is not in the errors of calls that no node took: which nodes there are, and their capacity', async () => {
    const door = await openDoor({ agents: 2, config, answer: refuseWith(503, 'no_capacity', 'node-1 promised 900 of 1000 MB') });
    expect(await text(await get(door))).not.toMatch(/node-1|MB/);
    for (const agent of door.agents) agent.answer = refuseWith(503, 'unavailable', 'node node-1 is draining');
    expect(await text(await get(door))).not.toMatch(/node-1/);
    for (const agent of door.agents) agent.answer = cut;
    expect(await exchangeRaw(door.port, post('hello'))).not.toMatch(/node-\d/);
    await Promise.all(door.agents.map((agent) => agent.stop()));
    expect(await text(await get(door))).not.toMatch(/2 nodes|node-\d/);
  });
});

describe('where the load is', () => {
  it('is not credited to the next node tried, which said nothing of its own', async () => {
    const door = await openDoor({ agents: 2 });
    const [home, next] = door.inOrder();
    home!.answer = (_request, response) => {
      response.writeHead(503, ['x-kiln-error', 'no_capacity', 'x-kiln-not-executed', '1', 'x-kiln-load', '40']).end('{}');
    };
    next!.answer = cut;
    await exchangeRaw(door.port, post('hello'));
    const loadOf = (id: string) => door.nodes.find(id)!.load;
    expect([loadOf(home!.id), loadOf(next!.id)]).toEqual([40, 0]);
  });

  it('calls beyond a home’s bound go to its successors', async () => {
    const held: (() => void)[] = [];
    const door = await openDoor({ agents: 3, answer: (_request, response) => held.push(() => response.end()) });
    const calls = Array.from({ length: 12 }, () => get(door));
    await expect.poll(() => held.length).toBe(12);
    // Two cores: up to eight busy instances are never too many.
    expect(door.inOrder().map(({ requests }) => requests.length)).toEqual([8, 4, 0]);
    for (const end of held) end();
    await Promise.all(calls);
  });

  it('a call weighs one by its version’s concurrency', async () => {
    const held: (() => void)[] = [];
    const door = await openDoor({
      agents: 2,
      functions: { hello: { concurrency: 50 } },
      answer: (_request, response) => held.push(() => response.end()),
    });
    const calls = Array.from({ length: 25 }, () => get(door));
    await expect.poll(() => held.length).toBe(25);
    expect(
      door.nodes
        .live()
        .map(({ load }) => Math.round(load * 100) / 100)
        .sort(),
    ).toEqual([0, 0.5]);
    for (const end of held) end();
    await Promise.all(calls);
  });
});
