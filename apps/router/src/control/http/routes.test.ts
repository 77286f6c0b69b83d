import type { FunctionView, Page } from '@kiln/contract/api/control-api';
import { LogStore } from '@kiln/state/logs/log-store';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN_KEY, type ProblemAnswer, TestCluster } from '../cluster.fixture.js';
import { ROUTES } from './routes.js';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start();
  expect((await cluster.api('POST', '/v1/functions/good/versions', { image: 'good:1' })).status).toBe(201);
});
afterAll(() => cluster?.stop());

describe('a request id', () => {
  it('is the caller’s when it is one, and in the problem too', async () => {
    const ask = async (id: string) =>
      cluster.send('GET', '/v1/functions/nobody', { headers: { authorization: `Bearer ${ADMIN_KEY}`, 'x-request-id': id } });
    const kept = await ask('abc-1');
    expect([kept.headers['x-request-id'], kept.json<ProblemAnswer>().requestId]).toEqual(['abc-1', 'abc-1']);
    expect((await ask('not good')).headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe('lists', () => {
  it('come in pages', async () => {
    for (const name of ['page-a', 'page-b', 'page-c']) {
      await cluster.api('POST', `/v1/functions/${name}/versions`, { image: 'x' });
    }
    const names: string[] = [];
    for (let after = ''; ; ) {
      const page = (await cluster.api('GET', `/v1/functions?limit=2${after}`)).json<Page<FunctionView>>();
      expect(page.items.length).toBeLessThanOrEqual(2);
      names.push(...page.items.map(({ name }) => name));
      if (page.next === null) break;
      after = `&after=${page.next}`;
    }
    expect(names).toEqual(['good', 'page-a', 'page-b', 'page-c']);
    const behindGone = (await cluster.api('GET', '/v1/functions?after=page-aa')).json<Page<FunctionView>>();
    expect(behindGone.items.map(({ name }) => name)).toEqual(['page-b', 'page-c']);
  });
});

describe('the rest', () => {
  it('shows nodes, the ring, instances and where a function is at home', async () => {
    const view = (await cluster.api('GET', '/v1/functions/good')).json<FunctionView>();
    expect(view).toMatchObject({
      name: 'good',
      home: 'node-1',
      url: 'http://localhost:8080/fn/good/',
      traffic: [{ version: 1, weight: 100 }],
    });
    expect((await cluster.api('GET', '/v1/ring')).json()).toMatchObject({ nodes: [{ id: 'node-1', weight: 1 }] });
    expect((await cluster.api('GET', '/v1/functions/good/instances')).json()).toMatchObject({
      items: [{ id: 'i1', function: 'good' }],
      next: null,
    });
    expect((await cluster.api('POST', '/v1/nodes/node-1/drain')).status).toBe(204);
    expect((await cluster.api('DELETE', '/v1/nodes/node-1/drain')).status).toBe(204);
    const secret = 'a-cluster-secret-for-tests';
    expect(cluster.requests.filter(({ url }) => url === '/drain')).toEqual([
      { method: 'POST', url: '/drain', secret },
      { method: 'DELETE', url: '/drain', secret },
    ]);
  });

  it('reads logs, filtered and followed', async () => {
    const logs = new LogStore(cluster.store);
    const line = { time: new Date().toISOString(), function: 'good', version: 1, node: 'node-1', instance: 'i1', level: 'info' as const };
    await logs.append([
      { ...line, message: 'one', requestId: 'r1' },
      { ...line, message: 'two', level: 'error' },
    ]);
    const messages = async (query: string) =>
      (await cluster.api('GET', `/v1/functions/good/logs${query}`)).text
        .split('\n')
        .filter(Boolean)
        .map((text) => (JSON.parse(text) as { message: string }).message);
    expect(await messages('')).toEqual(['one', 'two']);
    expect(await messages('?level=warn')).toEqual(['two']);
    expect(await messages('?requestId=r1')).toEqual(['one']);
    const abort = new AbortController();
    const followed = await fetch(`${cluster.router.controlUrl}/v1/functions/good/logs?follow`, {
      headers: { authorization: `Bearer ${ADMIN_KEY}` },
      signal: abort.signal,
    });
    let text = '';
    const reading = (async () => {
      for await (const chunk of followed.body as ReadableStream<Uint8Array>) text += Buffer.from(chunk).toString();
    })().catch(() => undefined);
    await expect.poll(() => text).toContain('two');
    await logs.append([{ ...line, message: 'three' }]);
    await expect.poll(() => text).toContain('three');
    abort.abort();
    await reading;
  });

  it('counts invocations, and answers metrics as text', async () => {
    await fetch(`${cluster.router.dataUrl}/fn/good/`);
    const text = (await cluster.api('GET', '/metrics')).text;
    expect(text).toMatch(/kiln_invocations_total\{function="good"/);
    expect(text).toMatch(/kiln_invocation_duration_seconds_bucket/);
    expect(text).toMatch(/kiln_store_up 1/);
  });

  it('describes every route in an OpenAPI document whose references all lead somewhere', async () => {
    const { text } = await cluster.api('GET', '/v1/openapi.json');
    const document = JSON.parse(text);
    expect(document.openapi).toBe('3.1.0');
    for (const { method, path } of ROUTES) {
      expect(document.paths[path.replace(/:([a-z]+)/g, '{$1}')], path).toHaveProperty(method.toLowerCase());
    }
    for (const [, name] of text.matchAll(/"#\/components\/schemas\/([^"]+)"/g))
      expect(document.components.schemas).toHaveProperty(name as string);
    expect(text).not.toContain('$defs');
  });
});
