import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { NodeRecord } from '@kiln/contract/records/records';
import { afterEach, describe, expect, it } from 'vitest';
import { askNode } from './ask-node.js';
import { type NeighbourState, Neighbours } from './neighbours.js';

const record = (id: string, change: Partial<NodeRecord & { alive: boolean }> = {}) =>
  ({
    id,
    memory: 1000,
    memoryPromised: 0,
    load: 0,
    instances: 0,
    draining: false,
    epoch: 'e',
    beat: 1,
    alive: true,
    ...change,
  }) as NodeRecord & {
    alive: boolean;
  };

/** Nodes that answer with what is set here, and the clock. */
function neighbours() {
  const test = { now: 0, asked: 0, answers: new Map<string, Partial<NeighbourState>>() };
  const made = new Neighbours(
    'me',
    async (node) => {
      test.asked++;
      const answer = test.answers.get(node.id);
      return answer && { ...node, ...answer };
    },
    () => test.now,
  );
  return Object.assign(test, { made });
}

describe('room elsewhere', () => {
  it('is what a node says now, not what the store knows of it, and is given once', async () => {
    const { made, answers } = neighbours();
    made.update([record('me'), record('stale'), record('free'), record('dead', { alive: false })]);
    answers.set('stale', { memoryPromised: 1000, load: 4, instances: 4 });
    expect(await made.hasRoom(600)).toBe(false);
    answers.set('free', {});
    expect(await made.hasRoom(600)).toBe(false);
  });

  it('is given once until the node is asked again', async () => {
    const test = neighbours();
    test.made.update([record('free')]);
    test.answers.set('free', {});
    expect([await test.made.hasRoom(600), await test.made.hasRoom(600), test.asked]).toEqual([true, false, 1]);
    test.now += 300;
    expect([await test.made.hasRoom(600), test.asked]).toEqual([true, 2]);
  });

  it('is also what idle instances hold there, and none where the node drains', async () => {
    const { made, answers } = neighbours();
    const full = { memoryPromised: 1000, load: 1, instances: 4 };
    made.update([record('idle', full), record('drains', { draining: true })]);
    for (const id of ['idle', 'drains']) answers.set(id, {});
    expect([await made.hasRoom(600), await made.hasRoom(600)]).toEqual([true, false]);
  });
});

describe('a node that holds an instance', () => {
  it('takes calls where its door answers, and none while it drains or is gone', async () => {
    const { made, answers } = neighbours();
    made.update([record('up'), record('drains'), record('silent')]);
    answers.set('up', {});
    answers.set('drains', { draining: true });
    expect(await made.anyTakes(['silent', 'up'])).toBe(true);
    expect(await made.anyTakes(['silent', 'drains', 'unknown'])).toBe(false);
    expect(await made.anyTakes([])).toBe(false);
  });

  it('was killed where its door is silent, although the store shows a heartbeat that it sent before', async () => {
    const { made } = neighbours();
    made.update([record('killed', { beat: 1 })]);
    expect(await made.anyTakes(['killed'])).toBe(false);
    made.update([record('killed', { beat: 2 })]);
    expect(await made.anyTakes(['killed'])).toBe(false);
    made.update([record('killed', { beat: 2 })]);
    expect(await made.anyTakes(['killed'])).toBe(false);
  });

  it('takes calls where its door is silent to this node only: its heartbeats go on', async () => {
    const { made } = neighbours();
    for (const beat of [1, 2, 3]) {
      made.update([record('cut', { beat })]);
      expect(await made.anyTakes(['cut'])).toBe(beat === 3);
    }
  });
});

describe('asking a node', () => {
  const servers: http.Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  });

  async function door(answer: (request: http.IncomingMessage, response: http.ServerResponse) => void): Promise<{ controlUrl: string }> {
    const opened = http.createServer(answer);
    servers.push(opened);
    await new Promise<void>((resolve) => opened.listen(0, '127.0.0.1', resolve));
    return { controlUrl: `http://127.0.0.1:${(opened.address() as AddressInfo).port}` };
  }

  it('gives its state, to whom it knows', async () => {
    const node = await door((request, response) => {
      const known = request.url === '/status' && request.headers['x-kiln-secret'] === 'secret';
      response.writeHead(known ? 200 : 401).end(JSON.stringify(record('other')));
    });
    expect(await askNode(node, 'secret')).toMatchObject({ memory: 1000, draining: false });
    expect(await askNode(node, 'wrong')).toBeUndefined();
  });

  it('ends within a bound where it is silent, refuses, or says something else', async () => {
    const began = performance.now();
    const silent = await door(() => undefined);
    expect(await askNode(silent, 'secret')).toBeUndefined();
    expect(performance.now() - began).toBeLessThan(5000);
    expect(await askNode({ controlUrl: 'http://127.0.0.1:1' }, 'secret')).toBeUndefined();
    expect(await askNode(await door((_request, response) => response.end('[1]')), 'secret')).toBeUndefined();
  });

  it('ends within the bound where an answer begins and never ends, however much of it comes', async () => {
    const began = performance.now();
    const drips = await door((_request, response) => {
      const drip = setInterval(() => response.write('{"a":"'), 20);
      response.on('close', () => clearInterval(drip));
    });
    expect(await askNode(drips, 'secret')).toBeUndefined();
    expect(performance.now() - began).toBeLessThan(5000);
  });

  it('costs a call that looks for room no more than three bounds, however many nodes are silent', async () => {
    let asked = 0;
    const { controlUrl } = await door(() => void asked++);
    const silent = new Neighbours('me', (node) => askNode(node, 'secret'));
    silent.update(Array.from({ length: 20 }, (_, i) => record(`silent-${i}`, { controlUrl })));
    const began = performance.now();
    expect([await silent.hasRoom(600), asked]).toEqual([false, 3]);
    expect(performance.now() - began).toBeLessThan(6000);
  });

  it('takes one bound for all that may hold an instance, and one that answers beside them is heard', async () => {
    const { controlUrl } = await door(() => undefined);
    const up = await door((_request, response) => response.end(JSON.stringify(record('up'))));
    const asked = new Neighbours('me', (node) => askNode(node, 'secret'));
    const ids = Array.from({ length: 20 }, (_, i) => `silent-${i}`);
    asked.update([...ids.map((id) => record(id, { controlUrl })), record('up', up)]);
    const began = performance.now();
    expect([await asked.anyTakes(ids), await asked.anyTakes([...ids, 'up'])]).toEqual([false, true]);
    expect(performance.now() - began).toBeLessThan(6000);
  });
});
