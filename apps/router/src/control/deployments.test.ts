import { Readable } from 'node:stream';
import type { BuildLine, Deployed } from '@kiln/contract/api/control-api';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ADMIN_KEY, buildsTo, built, problemOf, TestCluster } from './cluster.fixture.js';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start();
});
beforeEach(() => {
  cluster.script = { build: buildsTo({ type: 'log', line: 'step 1' }, built('sha256:a', { timeout: 5000 })), prove: () => 'ready' };
});
afterAll(() => cluster?.stop());

const headers = { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': 'application/gzip' };

async function build(name: string, body: string | Readable = 'a tar', more: Record<string, string> = {}) {
  const answer = await cluster.send('POST', `/v1/functions/${name}/builds`, { headers: { ...headers, ...more }, body });
  const lines = answer.text.split('\n').filter(Boolean);
  return {
    answer,
    lines: lines.map((line) => JSON.parse(line) as BuildLine),
    last: JSON.parse(lines.at(-1) ?? '{}') as Deployed & { code: string },
  };
}

const MB = 1024 * 1024;

function upload(megabytes: number, onSent: () => void = () => undefined): Readable {
  const chunk = Buffer.alloc(MB);
  return Readable.from(
    (function* () {
      for (let i = 0; i < megabytes; i += 1) {
        onSent();
        yield chunk;
      }
    })(),
  );
}

function neverEnding(): Readable {
  const source = new Readable({ read: () => undefined });
  source.push('a tar');
  return source;
}

const trafficOf = async (name: string) => (await cluster.api('GET', `/v1/functions/${name}/traffic`)).json();

describe('before the traffic moves', () => {
  const warmed = () => cluster.requests.filter(({ url }) => url.startsWith('/warm'));
  const deploy = (name: string, config: object) => cluster.api('POST', `/v1/functions/${name}/versions`, { image: 'img', config });

  it('nodes are told which version gets the traffic of which', async () => {
    await deploy('warmed', {});
    expect(warmed()).toEqual([]);
    let traffic: unknown;
    cluster.script.warm = async () => {
      traffic = await trafficOf('warmed');
    };
    expect((await deploy('warmed', { timeout: 1000 })).status).toBe(201);
    expect(warmed()).toMatchObject([{ method: 'POST', url: '/warm?function=warmed&version=2&serving=1' }]);
    expect(traffic).toEqual([{ version: 1, weight: 100 }]);
    expect(await trafficOf('warmed')).toEqual([{ version: 2, weight: 100 }]);
  });

  it('a node that does not do it holds nothing up', async () => {
    await deploy('not-warmed', {});
    cluster.script.warm = () => Promise.reject(new Error('no'));
    expect((await deploy('not-warmed', { timeout: 1000 })).status).toBe(201);
    expect(await trafficOf('not-warmed')).toEqual([{ version: 2, weight: 100 }]);
  });
});

describe('where a version comes from', () => {
  const digest = (character: string) => `sha256:${character.repeat(64)}`;
  const buildFrom = (name: string, query: string) =>
    cluster.send('POST', `/v1/functions/${name}/builds?${query}`, { headers, body: 'a tar' });
  const newest = async (name: string) =>
    (await cluster.api('GET', `/v1/functions/${name}/versions`)).json<{ items: object[] }>().items.at(-1);
  const view = async (name: string) => (await cluster.api('GET', `/v1/functions/${name}`)).json();

  it('is remembered, and noted anew where nothing else changed', async () => {
    await buildFrom('origin', `sourceDigest=${digest('a')}&project=shop`);
    expect(await newest('origin')).toMatchObject({ version: 1, sourceDigest: digest('a') });
    expect(await view('origin')).toMatchObject({ project: 'shop' });
    expect((await buildFrom('origin', `sourceDigest=${digest('b')}`)).text).toContain('"changed":false');
    expect(await newest('origin')).toMatchObject({ version: 1, sourceDigest: digest('b') });
    expect(await view('origin')).toMatchObject({ project: 'shop' });
  });

  it('is not known of a version whose configuration was changed by hand: the next deployment looks again', async () => {
    await buildFrom('by-hand', `sourceDigest=${digest('a')}&project=shop`);
    await cluster.api('PATCH', '/v1/functions/by-hand', { config: { memory: 300 } });
    expect(await newest('by-hand')).toMatchObject({ version: 2, config: { memory: 300 } });
    expect(await newest('by-hand')).not.toHaveProperty('sourceDigest');
    expect(await view('by-hand')).toMatchObject({ project: 'shop' });
  });

  it('comes with an image as well', async () => {
    await cluster.api('POST', '/v1/functions/given/versions', { image: 'img', sourceDigest: digest('c'), project: 'shop' });
    expect(await newest('given')).toMatchObject({ sourceDigest: digest('c') });
    expect(await view('given')).toMatchObject({ project: 'shop' });
  });

  it.each(['sourceDigest=sha256:1', `sourceDigest=${digest('A')}`, 'project=No%20Name', 'other=1'])('refuses ?%s', async (query) => {
    expect(problemOf(await buildFrom('refused', query))).toEqual([400, 'bad_request']);
  });
});

describe('a build', () => {
  it('is told line by line, and ends with a version that has the traffic', async () => {
    const { answer, lines } = await build('first');
    expect(answer.headers['content-type']).toBe('application/x-ndjson');
    expect(lines[0]).toEqual({ type: 'log', line: 'step 1' });
    expect(lines.at(-1)).toEqual({
      type: 'done',
      function: 'first',
      version: 1,
      digest: 'sha256:a',
      url: 'http://localhost:8080/fn/first/',
      changed: true,
      buildMs: expect.any(Number),
      readyMs: expect.any(Number),
    });
    expect(await trafficOf('first')).toEqual([{ version: 1, weight: 100 }]);
    expect(await cluster.functions.version('first', 1)).toMatchObject({ provingNode: 'node-1', state: 'ready', config: { timeout: 5000 } });
  });

  it('of the same image and configuration changes nothing; another one can be rolled back', async () => {
    await build('again');
    expect((await build('again')).last).toMatchObject({ type: 'done', version: 1, changed: false });
    cluster.script.build = buildsTo(built('sha256:b'));
    expect((await build('again')).last).toMatchObject({ version: 2, changed: true, rollback: 'kiln rollback again' });
    expect((await cluster.api('POST', '/v1/functions/again/rollback')).json()).toMatchObject({ traffic: [{ version: 1, weight: 100 }] });
    expect(await trafficOf('again')).toEqual([{ version: 1, weight: 100 }]);
    expect((await cluster.api('POST', '/v1/functions/again/rollback', { version: 2 })).status).toBe(200);
    expect(problemOf(await cluster.api('POST', '/v1/functions/again/rollback', { version: 9 }))).toEqual([404, 'version_not_found']);
    expect(problemOf(await cluster.api('POST', '/v1/functions/first/rollback', {}))).toEqual([409, 'conflict']);
  });

  it('whose version can not start ends as failed, and the old one never stopped serving', async () => {
    await build('breaks');
    cluster.script = { build: buildsTo(built('sha256:broken')), prove: () => ({ code: 'start_failed', detail: 'exit code 1: boom' }) };
    const { answer, last } = await build('breaks');
    expect([answer.status, last]).toEqual([200, { type: 'failed', code: 'start_failed', detail: 'exit code 1: boom' }]);
    expect(await trafficOf('breaks')).toEqual([{ version: 1, weight: 100 }]);
    expect(await cluster.functions.version('breaks', 2)).toMatchObject({ state: 'failed', failure: { code: 'start_failed' } });
  });

  it.each([
    ['refused by the node', buildsTo({ type: 'failed', code: 'bad_request', detail: 'a path with ..' }), [400, 'bad_request']],
    ['with an unknown key', buildsTo(built('sha256:a', { timeOut: 1 } as object)), [400, 'bad_request']],
    ['with a secret', buildsTo(built('sha256:a', { secrets: ['TOKEN'] })), [400, 'bad_request']],
    ['broken off by the node', buildsTo(), [503, 'unavailable']],
  ])('%s is refused with a status, and nothing is half-created', async (_what, script, expected) => {
    cluster.script.build = script;
    const { answer } = await build('never');
    expect(problemOf(answer), answer.text).toEqual(expected);
    expect(problemOf(await cluster.api('GET', '/v1/functions/never'))).toEqual([404, 'function_not_found']);
  });
});

describe('an upload', () => {
  it('that is too large is refused, at once where its length says so', async () => {
    const announced = await build('large', upload(300), { 'content-length': String(300 * MB) });
    expect(problemOf(announced.answer)).toEqual([413, 'payload_too_large']);
    expect(announced.answer.ms).toBeLessThan(1000);
    expect(cluster.requests.filter(({ url }) => url.includes('function=large'))).toEqual([]);
    expect(problemOf((await build('large', upload(300))).answer)).toEqual([413, 'payload_too_large']);
  });

  it('that is no stream of bytes is refused', async () => {
    expect(problemOf((await build('json', '{}', { 'content-type': 'application/json' })).answer)).toEqual([400, 'bad_request']);
    expect(problemOf(await cluster.api('POST', '/v1/functions/json/builds'))).toEqual([400, 'bad_request']);
  });

  it('goes no faster than the node reads it', async () => {
    let sent = 0;
    let go: (() => void) | undefined;
    cluster.script.build = (request, response) => {
      go = () => buildsTo(built('sha256:slow'))(request, response);
    };
    const running = build(
      'slow',
      upload(100, () => {
        sent += 1;
      }),
    );
    await expect.poll(() => go, { timeout: 5000 }).toBeDefined();
    let before = -1;
    await expect
      .poll(
        () => {
          const still = sent === before;
          before = sent;
          return still;
        },
        { interval: 300, timeout: 10_000 },
      )
      .toBe(true);
    expect(sent).toBeLessThan(60);
    go?.();
    expect((await running).last).toMatchObject({ type: 'done', digest: 'sha256:slow' });
  });

  it('whose caller leaves is broken off at the node, and deploys nothing', async () => {
    let ended = false;
    let begun = false;
    cluster.script.build = (request, response) => {
      begun = true;
      request.resume();
      response.on('close', () => {
        ended = true;
      });
    };
    const abort = new AbortController();
    const running = cluster
      .send('POST', '/v1/functions/leaver/builds', { headers, body: neverEnding(), signal: abort.signal })
      .catch(() => undefined);
    await expect.poll(() => begun).toBe(true);
    abort.abort();
    await running;
    await expect.poll(() => ended).toBe(true);
    expect(problemOf(await cluster.api('GET', '/v1/functions/leaver'))).toEqual([404, 'function_not_found']);
  });

  it('whose caller leaves while the version is proved leaves the traffic where it was', async () => {
    await build('left');
    cluster.script = { build: buildsTo({ type: 'log', line: 'x' }, built('sha256:later')), prove: () => 'wait' };
    const abort = new AbortController();
    const running = cluster.send('POST', '/v1/functions/left/builds', { headers, body: 'x', signal: abort.signal }).catch(() => undefined);
    await expect.poll(async () => (await cluster.functions.version('left', 2))?.state).toBe('pending');
    abort.abort();
    await running;
    cluster.script.prove = () => 'ready';
    await expect.poll(async () => (await cluster.functions.version('left', 2))?.state).toBe('ready');
    expect(await trafficOf('left')).toEqual([{ version: 1, weight: 100 }]);
  });
});

describe('an image', () => {
  it('is pinned by a node, and deployed', async () => {
    const answer = await cluster.api('POST', '/v1/functions/image/versions', { image: 'python:1', config: { memory: 64 } });
    expect([answer.status, answer.json()]).toMatchObject([201, { version: 1, digest: 'sha256:1', changed: true }]);
    const version = await cluster.functions.version('image', 1);
    expect(version).toMatchObject({ image: 'python:1@sha256:1', kind: 'http', config: { memory: 64, concurrency: 100 } });
  });

  it('that is nowhere is start_failed, and nothing is half-created', async () => {
    expect(problemOf(await cluster.api('POST', '/v1/functions/nowhere/versions', { image: 'missing:1' }))).toEqual([502, 'start_failed']);
    expect(problemOf(await cluster.api('GET', '/v1/functions/nowhere'))).toEqual([404, 'function_not_found']);
  });

  it('keeps the rest of its configuration when some keys are changed', async () => {
    const answer = await cluster.api('PATCH', '/v1/functions/image', { config: { timeout: 777 } });
    expect(answer.json()).toMatchObject({ version: 2, changed: true });
    expect((await cluster.functions.version('image', 2))?.config).toMatchObject({ timeout: 777, memory: 64 });
    expect((await cluster.api('PATCH', '/v1/functions/image', { config: {} })).json()).toMatchObject({ version: 2, changed: false });
  });
});

describe('two deployments at the same time', () => {
  it('end with the later one serving, whichever is ready first', async () => {
    await build('race');
    cluster.script.prove = ({ image }) => (image.includes('slow') ? 'wait' : 'ready');
    cluster.script.build = buildsTo({ type: 'log', line: 'x' }, built('sha256:slow'));
    const slow = build('race');
    await expect.poll(async () => (await cluster.functions.version('race', 2))?.state).toBe('pending');
    cluster.script.build = buildsTo(built('sha256:fast'));
    expect((await build('race')).last).toMatchObject({ version: 3 });
    cluster.script.prove = () => 'ready';
    expect((await slow).last).toMatchObject({ type: 'failed', code: 'conflict' });
    expect(await trafficOf('race')).toEqual([{ version: 3, weight: 100 }]);
  });

  it('of which the function is removed say so', async () => {
    cluster.script.prove = () => 'wait';
    const running = build('removed');
    await expect.poll(async () => (await cluster.functions.version('removed', 1))?.state).toBe('pending');
    expect((await cluster.api('DELETE', '/v1/functions/removed')).status).toBe(204);
    expect((await running).last).toMatchObject({ type: 'failed', code: 'conflict' });
    expect((await cluster.api('GET', '/v1/functions')).text).not.toContain('removed');
  });
});
