import { until } from '@kiln/testing/until';
import { describe, expect, it } from 'vitest';
import { connected, type Door, type DoorAnswer, exchangeRaw, get, openDoor, silent, text } from './door.fixture.js';

const cut: DoorAnswer = (request) => request.socket.destroy();
const POST = 'POST /fn/hello/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello';
const asked = (door: Door) => door.agents.map((agent) => agent.asked);
const usable = (door: Door) => door.nodes.live().map(({ id }) => id);

/** Nothing in this process runs for so long. */
function standStill(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

describe('answers that a function breaks', () => {
  it('take no node out of use whose door answers, and one request asks one door', async () => {
    let door!: Door;
    // The watch asks the doors of requests that are under way when it ticks: on a busy machine a request may be, so it gets other tries.
    await expect
      .poll(async () => {
        door = await openDoor({ agents: 5, answer: cut });
        expect((await get(door)).statusCode).toBe(502);
        return await until('a door is asked', () => asked(door).reduce((sum, each) => sum + each) || undefined);
      })
      .toBe(1);
    for (let i = 0; i < 30; i++) expect((await get(door)).statusCode).toBe(502);
    expect(usable(door)).toHaveLength(5);
    expect(door.inOrder()).toHaveLength(5);
  });

  it('are no reason to ask a door more than ten times a second', async () => {
    const door = await openDoor({ answer: cut });
    const began = performance.now();
    for (let i = 0; i < 60; i++) await get(door);
    expect(door.agents[0]!.asked).toBeLessThanOrEqual(1 + (performance.now() - began) / 100);
  });
});

describe('a node that becomes silent', () => {
  it('has its idempotent calls answered by others within 3 s, and the rest told at once that it is lost', async () => {
    const door = await openDoor({ agents: 3, functions: { hello: { timeout: 60_000 } } });
    const home = door.inOrder()[0]!;
    home.answer = silent;
    home.health = silent;
    const began = performance.now();
    const [reading, writing] = await Promise.all([get(door), exchangeRaw(door.port, POST, 10_000)]);
    expect(reading.statusCode).toBe(200);
    expect(writing).toMatch(/^HTTP\/1\.1 502 [\s\S]*x-kiln-error: node_lost/);
    expect(performance.now() - began).toBeLessThan(3000);
    expect(usable(door)).not.toContain(home.id);
    expect((await get(door)).statusCode).toBe(200);
    expect(home.requests).toHaveLength(2);
  });

  it('cuts off answers that had begun, and connections that had switched protocols', async () => {
    const door = await openDoor({ answer: (_request, response) => response.write('half') });
    const home = door.agents[0]!;
    home.server.on('upgrade', (_request, socket) =>
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'),
    );
    const [streaming, switched] = [await connected(door.port), await connected(door.port)];
    streaming.write('GET /fn/hello/ HTTP/1.1\r\nHost: localhost\r\n\r\n');
    switched.write('GET /fn/hello/ HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    await expect.poll(() => [streaming.received().includes('half'), switched.received().includes('101')]).toEqual([true, true]);
    home.health = silent;
    await expect.poll(() => [streaming.closed, switched.closed], { timeout: 5000 }).toEqual([true, true]);
    expect(streaming.received()).not.toContain('\r\n0\r\n');
  });

  it('is used again once its door answers, without a heartbeat', async () => {
    const door = await openDoor({ agents: 2 });
    const home = door.inOrder()[0]!;
    await home.stop();
    await get(door);
    await expect.poll(() => usable(door)).toHaveLength(1);
    await home.start();
    await expect.poll(() => door.inOrder()[0]).toBe(home);
  });

  it('is not taken for lost while its door answers, however long its function takes', async () => {
    const door = await openDoor({ agents: 2, answer: silent });
    const client = await connected(door.port);
    client.write('GET /fn/hello/ HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await expect.poll(() => asked(door).some((times) => times >= 3)).toBe(true);
    expect(usable(door)).toHaveLength(2);
    expect(client.received()).toBe('');
    expect(door.agents.map(({ requests }) => requests.length).sort()).toEqual([0, 1]);
  });

  it('is not asked while bytes come from it', async () => {
    const door = await openDoor({
      answer: (_request, response) => {
        const timer = setInterval(() => response.write('more'), 20);
        response.on('close', () => clearInterval(timer));
      },
    });
    door.agents[0]!.health = silent;
    const client = await connected(door.port);
    client.write('GET /fn/hello/ HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await expect.poll(() => client.received().length).toBeGreaterThan(0);
    // Before the first byte it may have been, on a busy machine.
    const before = door.agents[0]!.asked;
    await expect.poll(() => client.received().length).toBeGreaterThan(1000);
    expect(door.agents[0]!.asked).toBe(before);
  });

  it('is used on where it is the last one', async () => {
    const door = await openDoor({ agents: 2 });
    for (const agent of door.agents) await agent.stop();
    await get(door);
    await expect.poll(() => usable(door)).toHaveLength(0);
    await door.agents[1]!.start();
    expect((await get(door)).statusCode).toBe(200);
  });

  it('that another agent answers for is lost', async () => {
    const door = await openDoor({ agents: 2 });
    const home = door.inOrder()[0]!;
    home.answer = cut;
    home.health = (_request, response) => response.writeHead(421).end();
    await get(door);
    await expect.poll(() => usable(door)).not.toContain(home.id);
  });
});

describe('the router’s own clock', () => {
  const functions = { hello: { timeout: 300, startTimeout: 2000 } };

  it('ends a call of which nothing comes at 504 before timeout and 1 s have passed, though its node’s door answers', async () => {
    const door = await openDoor({ functions, answer: silent });
    const began = performance.now();
    const response = await get(door);
    expect([response.statusCode, response.headers['x-kiln-error']]).toEqual([504, 'function_timeout']);
    expect(performance.now() - began).toBeGreaterThan(1000);
    expect(performance.now() - began).toBeLessThan(2300);
    expect(door.nodes.live()).toHaveLength(1);
  });

  it('lets a call wait for its instance, and counts from the moment when it has one', async () => {
    const answer: DoorAnswer = (_request, response) => {
      response.writeInformation(110);
      setTimeout(() => response.writeProcessing(), 2500);
      setTimeout(() => response.end('done'), 3000);
    };
    const door = await openDoor({ functions, answer });
    expect(await text(await get(door))).toBe('done');
    door.agents[0]!.answer = (_request, response) => {
      response.writeInformation(110);
      setTimeout(() => response.writeProcessing(), 1000);
    };
    const began = performance.now();
    expect((await get(door)).statusCode).toBe(504);
    expect(performance.now() - began).toBeGreaterThan(2000);
    expect(performance.now() - began).toBeLessThan(3500);
  });

  it('replays a call that waited on a node that was lost', async () => {
    const door = await openDoor({ agents: 2 });
    const home = door.inOrder()[0]!;
    home.answer = (request, response) => {
      response.writeInformation(110);
      setTimeout(() => request.socket.destroy(), 50);
    };
    expect((await get(door)).statusCode).toBe(200);
  });
});

describe('a router that stood still', () => {
  it('does not take its own pause for the silence of nodes', async () => {
    const door = await openDoor({ agents: 2, answer: (_request, response) => setTimeout(() => response.end('done'), 600) });
    const answer = get(door);
    await expect.poll(() => door.agents.some(({ requests }) => requests.length === 1)).toBe(true);
    standStill(3000);
    expect(await text(await answer)).toBe('done');
    expect(usable(door)).toHaveLength(2);
    expect(door.records[0]!.attempts).toBe(1);
  });

  it('answers 504 where the function’s answer came past its timeout and 1 s more', async () => {
    const door = await openDoor({
      functions: { hello: { timeout: 300 } },
      answer: (_request, response) => setTimeout(() => response.end('late'), 100),
    });
    const answer = get(door);
    await expect.poll(() => door.agents[0]!.requests.length).toBe(1);
    standStill(2000);
    const response = await answer;
    expect([response.statusCode, response.headers['x-kiln-error']]).toEqual([504, 'function_timeout']);
  });
});

describe('an agent that was started anew', () => {
  it('leaves no call waiting that its former life had', async () => {
    const door = await openDoor({ agents: 2, answer: silent });
    const home = door.inOrder()[0]!;
    const answer = exchangeRaw(door.port, POST, 10_000);
    await expect.poll(() => home.requests.length).toBe(1);
    door.restarted(home);
    expect(await answer).toMatch(/^HTTP\/1\.1 502 [\s\S]*node_lost/);
  });
});
