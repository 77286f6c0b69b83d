import { resolveConfig } from '@kiln/contract/config/function-config';
import { LogStore } from '@kiln/state/logs/log-store';
import { NodeStore } from '@kiln/state/node-store';
import { describe, expect, it, vi } from 'vitest';
import { Agent } from './agent.js';
import {
  app,
  ask,
  call,
  containers,
  control,
  create,
  docker,
  functions,
  image,
  node,
  ports,
  redis,
  start,
  stateOf,
  store,
  withRunningAgent,
} from './running-agent.fixture.js';

withRunningAgent();

describe('the control door', () => {
  it.each([
    ['GET', '/readyz'],
    ['GET', '/status'],
    ['GET', '/metrics'],
    ['GET', '/instances'],
    ['GET', '/images/facts?image=x'],
    ['POST', '/builds?function=x'],
    ['POST', '/drain'],
    ['POST', '/warm?function=x&version=1&serving=2'],
    ['GET', '/nothing'],
  ])('refuses %s %s without the secret', async (method, path) => {
    for (const secret of ['', 'wrong']) {
      const answer = await ask(ports.control, path, { method, headers: { 'x-kiln-secret': secret } });
      expect([answer.status, answer.headers['x-kiln-error']]).toEqual(path === '/nothing' ? [404, 'not_found'] : [401, 'unauthorized']);
    }
  });

  it('answers each route', async () => {
    expect(await ask(ports.control, '/healthz', { headers: { 'x-kiln-secret': '' } })).toMatchObject({
      status: 200,
      text: '{"status":"ok"}',
    });
    expect(JSON.parse((await control('/readyz')).text)).toMatchObject({ ready: true, draining: false, store: true });
    expect(JSON.parse((await control('/status')).text)).toMatchObject({
      id: node,
      draining: false,
      dataUrl: `http://127.0.0.1:${ports.data}`,
    });
    const metrics = (await control('/metrics')).text;
    expect(metrics).toContain('kiln_node_instances{state="idle"}');
    for (const name of ['image_disk_used_ratio', 'images', 'images_removed_total'])
      expect(metrics).toMatch(new RegExp(`^kiln_node_${name}[ {]`, 'm'));
    expect(JSON.parse((await control('/instances?function=none')).text)).toEqual([]);
    const facts = await control(`/images/facts?image=${image.id}`);
    expect(JSON.parse(facts.text)).toEqual({ image: image.id, digest: image.id, kind: 'runner' });
  });

  it('names the field that is wrong', async () => {
    for (const [method, path] of [
      ['GET', '/instances?function=Bad_Name'],
      ['GET', '/images/facts?image=../x'],
      ['GET', '/images/facts'],
      ['POST', '/warm?function=x&version=0&serving=1'],
      ['POST', '/warm?function=x&version=1&serving=1,x'],
    ] as const) {
      const answer = await control(path, { method });
      expect([answer.status, JSON.parse(answer.text).code]).toEqual([400, 'bad_request']);
      expect(JSON.parse(answer.text).fields).toHaveLength(1);
    }
  });

  it('answers a build that is no archive with a failed line', async () => {
    const answer = await ask(
      ports.control,
      '/builds?function=broken',
      { method: 'POST', headers: { 'content-type': 'application/gzip' } },
      'no tar',
    );
    expect(answer.status).toBe(200);
    const last = JSON.parse(answer.text.trim().split('\n').at(-1) ?? '') as { type: string; code: string };
    expect(last).toMatchObject({ type: 'failed', code: 'bad_request' });
  });
});

describe('a new version', () => {
  it('is proved by starting one instance, which is warm for the first call', async () => {
    await create('proved');
    app.get(Agent).reconciler.kick();
    await vi.waitFor(async () => expect(await stateOf('proved')).toBe('ready'), 10_000);
    const answer = await call('proved');
    expect([answer.status, answer.headers['x-kiln-start']]).toEqual([200, 'warm']);
    expect(JSON.parse((await control('/instances?function=proved')).text)).toMatchObject([
      { function: 'proved', version: 1, node, state: 'idle' },
    ]);
  });

  it('that cannot start is written down as failed, with the reason', async () => {
    await create('hopeless', {}, `sha256:${'0'.repeat(64)}`);
    app.get(Agent).reconciler.kick();
    await vi.waitFor(async () => expect(await stateOf('hopeless')).toBe('failed'), 10_000);
    const failure = (await functions.version('hopeless', 1))?.failure;
    expect(failure).toMatchObject({ code: 'start_failed', detail: expect.stringContaining('is not on this node') });
    expect((await call('hopeless')).headers['x-kiln-error']).toBe('version_not_found');
  });

  it('is left to the node that is to prove it', async () => {
    await functions.createVersion('elsewhere', {
      image: image.id,
      digest: image.id,
      kind: 'runner',
      config: resolveConfig({}, 'runner'),
      provingNode: 'another',
    });
    app.get(Agent).reconciler.kick();
    await create('later');
    await vi.waitFor(async () => expect(await stateOf('later')).toBe('ready'), 10_000);
    expect(await stateOf('elsewhere')).toBe('pending');
  });

  it('keeps minInstances on its home, replaces the one before the last one, and goes with its function', async () => {
    await create('kept', { minInstances: 2 });
    await vi.waitFor(async () => expect(await stateOf('kept')).toBe('ready'), 10_000);
    await functions.setTraffic('kept', [{ version: 1, weight: 100 }]);
    const running = () =>
      app
        .get(Agent)
        .node.pools.instances('kept')
        .map(({ version, state }) => `${version} ${state}`);
    await vi.waitFor(() => expect(running()).toEqual(['1 idle', '1 idle']), 10_000);
    for (const version of [2, 3]) {
      await create('kept', { memory: 64 });
      await vi.waitFor(async () => expect(await stateOf('kept', version)).toBe('ready'), 10_000);
      await functions.setTraffic('kept', [{ version, weight: 100 }]);
    }
    await vi.waitFor(() => expect(running()).toEqual(['2 idle', '3 idle']), 10_000);
    await functions.remove('kept');
    await vi.waitFor(() => expect(running()).toEqual([]), 10_000);
    expect((await call('kept', 2)).headers['x-kiln-error']).toBe('function_not_found');
  });
});

describe('what functions write', () => {
  it('is in the store, under the request', async () => {
    expect((await call('proved', 1, 'console.log("to the store"); return 1')).status).toBe(200);
    await vi.waitFor(async () => {
      const { records } = await new LogStore(store).read('proved', { requestId: 'r-1', limit: 10 });
      expect(records).toMatchObject([{ function: 'proved', version: 1, node, level: 'info', message: 'to the store', requestId: 'r-1' }]);
    }, 5000);
  });
});

describe('without the store', () => {
  it('known functions go on, warm and cold; and all heals', async () => {
    await create('cold', { idleTimeout: 100 });
    await vi.waitFor(async () => expect(await stateOf('cold')).toBe('ready'), 10_000);
    await redis.kill();
    expect((await call('proved')).status).toBe(200);
    await vi.waitFor(() => expect(app.get(Agent).node.pools.instances('cold')).toEqual([]), 5000);
    const cold = await call('cold');
    expect([cold.status, cold.headers['x-kiln-start']]).toEqual([200, 'cold']);
    expect(JSON.parse((await control('/readyz')).text)).toMatchObject({ ready: true, store: false });
    await redis.restart();
    await vi.waitFor(async () => expect(JSON.parse((await control('/readyz')).text)).toMatchObject({ store: true }), 10_000);
    await vi.waitFor(async () => expect((await new NodeStore(store).list()).find(({ id }) => id === node)?.alive).toBe(true), 10_000);
  });
});

describe('an agent that starts again', () => {
  it('removes what its earlier life left, and nothing of others', async () => {
    const stray = (id: string) =>
      docker.createContainer({ Image: image.id, Labels: { 'kiln.node': id, 'kiln.role': 'instance' }, Entrypoint: ['sleep', '60'] });
    expect((await call('proved')).status).toBe(200);
    await app.close();
    expect(await containers()).toEqual([]);
    expect((await docker.listNetworks({ filters: { label: [`kiln.node=${node}`] } })).length).toBe(0);
    expect((await new NodeStore(store).list()).map(({ id }) => id)).not.toContain(node);
    const [mine, other] = [await stray(node), await stray(`${node}x`)];
    try {
      await start();
      await expect(mine.inspect()).rejects.toMatchObject({ statusCode: 404 });
      expect((await other.inspect()).Id).toBe(other.id);
      expect((await call('proved')).headers['x-kiln-start']).toBe('cold');
    } finally {
      await other.remove({ force: true });
    }
  });
});
