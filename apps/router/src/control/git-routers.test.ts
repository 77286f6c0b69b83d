import { PushTurnStore } from '@kiln/state/push-turn-store';
import { until } from '@kiln/testing/until';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Router, startRouter } from '../router.js';
import { ADMIN_KEY, configFor } from './cluster.fixture.js';
import { PushCluster } from './git.fixture.js';

const MODULE = 'export default (req, res) => res.end()';

let pushes: PushCluster;
let second: Router;

beforeAll(async () => {
  pushes = await PushCluster.start();
  const { redis, home } = pushes.cluster;
  second = await startRouter({ ...configFor(redis.url), home }, pino({ level: 'silent' }));
});
beforeEach(() => pushes.reset());
afterAll(async () => {
  await second?.stop();
  await pushes?.stop();
});

const throughSecond = (project: string) => {
  const url = new URL(`/git/${project}.git`, second.controlUrl);
  return Object.assign(url, { username: 'git', password: ADMIN_KEY }).href;
};

describe('two routers that share their repositories', () => {
  it('deploy one push of a project after the other', async () => {
    const folder = await pushes.folder('both', { 'index.js': MODULE });
    const { build } = pushes.cluster.script;
    const held = pushes.holdBuilds();
    const first = folder.run(['push', 'kiln', 'main']);
    const building = await held;
    pushes.cluster.script.build = build;

    await folder.commit({ 'index.js': `${MODULE} // 2` });
    const lines: string[] = [];
    const later = folder.run(['push', throughSecond('both'), 'main'], undefined, (text) => lines.push(text));
    await until('it waits', () => lines.join('').includes('waiting for a push to "both" through another router'));
    expect(pushes.sent).toEqual([]);
    pushes.finish(building);
    expect((await first).text).toContain('both: version 1 serves');
    const { code, text } = await later;
    expect(code, text).toBe(0);
    expect(text).toContain('both: version 2 serves');
    expect(pushes.sent.map(({ files }) => files)).toEqual([{ 'index.js': `${MODULE} // 2` }]);
    expect((await folder.git('ls-remote', 'kiln', 'main')).text).toContain((await folder.git('rev-parse', 'HEAD')).text.trim());
  });

  it('do not wait for each other with different projects, nor for a push that is over', async () => {
    const [one, other] = [await pushes.folder('one', { 'index.js': MODULE }), await pushes.folder('other', { 'index.js': MODULE })];
    const { build } = pushes.cluster.script;
    const held = pushes.holdBuilds();
    const first = one.run(['push', 'kiln', 'main']);
    const building = await held;
    pushes.cluster.script.build = build;
    expect((await other.git('push', throughSecond('other'), 'main')).text).not.toContain('waiting');
    pushes.finish(building);
    expect((await first).code).toBe(0);
    await one.commit({ 'index.js': '2' });
    expect((await one.git('push', throughSecond('one'), 'main')).text).not.toContain('waiting');
  });

  it('go on after one of them was killed', async () => {
    const folder = await pushes.folder('killed', { 'index.js': MODULE });
    const turns = new PushTurnStore(pushes.cluster.store);
    await turns.lease('killed', 'of a router that says nothing any more', 1500);
    const { text } = await folder.git('push', throughSecond('killed'), 'main');
    expect(text).toContain('waiting for a push to "killed" through another router');
    expect(text).toContain('killed: version 1 serves');
  });

  it('a push that lost its turn meanwhile moves nothing', async () => {
    const folder = await pushes.folder('lost', { 'index.js': MODULE });
    pushes.proves('wait');
    const pushing = folder.run(['push', 'kiln', 'main']);
    await until('it is built', () => pushes.sent.length === 1);
    await pushes.cluster.store.run((redis) => redis.set('kiln:push-turn:lost', 'another push'));
    pushes.proves('ready');
    const { code, text } = await pushing;
    expect(code).toBe(1);
    expect(text).toContain('another one to "lost" is under way');
    expect((await pushes.cluster.api('GET', '/v1/functions/lost/traffic')).json()).toEqual([]);
  });
});
