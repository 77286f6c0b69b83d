import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { api, connected, root, withControlApi } from '../../with-control-api.fixture.js';

withControlApi();

const ROLLOUT = 'POST /v1/functions/hello/rollout';
const time = '2030-01-01T00:00:00.000Z';

const view = (changes: object = {}) => ({
  ...api.functionView(),
  rollout: {
    version: 3,
    stages: [
      { weight: 10, forMs: 300_000 },
      { weight: 50, forMs: 300_000 },
    ],
    limits: { maxErrors: 2, maxP95: 1.5, minRequests: 50 },
    stage: 0,
    stageStartedAt: time,
    state: 'running',
    from: [{ version: 2, weight: 100 }],
    previous: [],
    startedAt: time,
    ...changes,
  },
});

/** What the control API says of the function, question by question; the last for ever. */
function goes(...views: object[]): void {
  api.json(ROLLOUT, view());
  let at = 0;
  api.routes.set('GET /v1/functions/hello', (_request, response) => {
    const body = views[Math.min(at++, views.length - 1)];
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
}

const begun = () => JSON.parse(String(api.seen.find(({ method }) => method === 'POST')?.body)) as unknown;

describe('rollout', () => {
  it('sends the stages and limits, tells each stage, and ends when the version has all traffic', async () => {
    goes(view(), view({ stage: 1 }), view({ stage: 1, state: 'done', endedAt: time }));
    const args = [
      'hello',
      'v3',
      '--stage',
      '10,5m',
      '--stage',
      '50%,10m',
      '--max-errors',
      '0.5%',
      '--max-p95',
      '2x',
      '--min-requests',
      '7',
    ];
    const { code, stdout, stderr } = await connected(['rollout', ...args]);
    expect(code, stderr).toBe(0);
    expect(begun()).toEqual({
      version: 3,
      stages: [
        { weight: 10, forMs: 300_000 },
        { weight: 50, forMs: 600_000 },
      ],
      limits: { maxErrors: 0.5, maxP95: 2, minRequests: 7 },
    });
    expect(stderr).toBe('v3 of hello: stage 1 of 2, 10 % for 5 min\nv3 of hello: stage 2 of 2, 50 % for 5 min\n');
    expect(JSON.parse(stdout)).toMatchObject({ name: 'hello', rollout: { state: 'done' } });
  });

  it('ends with 1 and the reason where the version was taken back', async () => {
    goes(view(), view({ state: 'aborted', reason: '12.0 % of 100 requests failed', endedAt: time }));
    const { code, stdout, stderr } = await connected(['rollout', 'hello']);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain('version 3 of "hello" was taken back: 12.0 % of 100 requests failed');
    expect(stderr).toContain('next: ');
    expect(begun()).toEqual({ limits: {} });
  });

  it('ends with 6 where somebody moved the traffic, or began another', async () => {
    goes(view({ state: 'cancelled', reason: 'the traffic was changed by hand', endedAt: time }));
    expect(await connected(['rollout', 'hello'])).toMatchObject({ code: 6, stderr: expect.stringContaining('changed by hand') });
    goes(view({ startedAt: '2030-01-01T00:00:09.000Z' }));
    expect(await connected(['rollout', 'hello'])).toMatchObject({ code: 6, stderr: expect.stringContaining('another rollout') });
  });

  it('waits through a router that is away for a moment', async () => {
    goes(view({ state: 'done', endedAt: time }));
    const after = api.routes.get('GET /v1/functions/hello');
    let asked = 0;
    api.fail('GET /v1/functions/hello', 'unavailable', 'restarting');
    const away = api.routes.get('GET /v1/functions/hello');
    api.routes.set('GET /v1/functions/hello', (request, response) => (asked++ < 2 ? away : after)?.(request, response));
    expect((await connected(['rollout', 'hello'])).code).toBe(0);
    expect(asked).toBe(3);
  });

  it('does not wait where it is told not to', async () => {
    goes(view());
    const { code, stdout } = await connected(['rollout', 'hello', '--no-wait', '-o', 'text']);
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^hello v3: stage 1 of 2, 10 % for 5 min, since/)]);
    expect(api.seen).toHaveLength(1);
  });

  it.each([
    [['--stage', '10'], '--stage 10 is no stage'],
    [['--stage', '0,5m'], '--stage 1, the weight: '],
    [['--stage', '50,5m', '--stage', '10,5m'], '--stage: weights must rise'],
    [['--stage', '10,5x'], '--stage 10,5x is no stage'],
    [['--stage', '10,500ms'], '--stage 1, the duration: '],
    [['--max-errors', 'few'], '--max-errors few'],
    [['--max-p95', '0.5x'], '--max-p95: must be 1 to 1000'],
    [['--min-requests', '0'], '--min-requests: must be'],
    [['nonsense'], '"nonsense" is no version'],
  ])('%j is wrong usage, said before anything is sent', async (args, message) => {
    const { code, stderr } = await connected(['rollout', 'hello', ...args]);
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
    expect(api.seen).toEqual([]);
  });

  it('is shown by inspect and by versions', async () => {
    api.json('GET /v1/functions/hello', view({ stage: 1, state: 'aborted', reason: 'it was slow', endedAt: '2030-01-01T00:00:50.000Z' }));
    expect((await connected(['inspect', 'hello', '-o', 'text'])).stdout).toMatch(/^rollout: +v3: aborted .* after 50s: it was slow$/m);
    expect((await connected(['versions', 'hello'])).stderr).toContain('rollout of v3: aborted');
  });
});

describe('deploy --no-traffic', () => {
  it('asks for a version that gets no traffic yet', async () => {
    writeFileSync(join(root, 'index.js'), '');
    api.fail('POST /v1/functions/hello/builds', 'unavailable', 'not here');
    await connected(['deploy', root, '--name', 'hello', '--no-traffic']);
    expect(new URLSearchParams(api.seen.at(-1)?.path.split('?')[1]).get('traffic')).toBe('none');
    await connected(['deploy', root, '--name', 'hello']);
    expect(new URLSearchParams(api.seen.at(-1)?.path.split('?')[1]).get('traffic')).toBeNull();
  });
});
