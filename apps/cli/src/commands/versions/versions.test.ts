import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { api, connected, root, withControlApi } from '../../with-control-api.fixture.js';

withControlApi();

const VERSIONS = '/v1/functions/hello/versions';
const TRAFFIC = '/v1/functions/hello/traffic';

function history(...records: object[]): void {
  const items = records.map((record, i) => ({ ...api.version(), version: i + 1, ...record }));
  api.json(`GET ${VERSIONS}`, { items, next: null });
}

const lastBody = () => JSON.parse(String(api.seen.at(-1)?.body)) as unknown;

describe('versions', () => {
  it('shows who deployed what, why, and what it changed, newest first', async () => {
    const { config } = api.version();
    history(
      {},
      { createdBy: 'ci', message: 'faster \u001b[1m', config: { ...config, timeout: 99, env: { A: '1' } } },
      { state: 'failed', failure: { code: 'start_failed', detail: 'boom' }, config: { ...config, env: { B: 'x'.repeat(100) } } },
    );
    const entries = JSON.parse((await connected(['versions', 'hello'])).stdout) as { version: number; weight: number; changes: object[] }[];
    expect(entries.map(({ version, weight }) => [version, weight])).toEqual([
      [3, 0],
      [2, 100],
      [1, 0],
    ]);
    expect(entries[1]).toMatchObject({ createdBy: 'ci', message: 'faster \u001b[1m' });
    expect(entries[1]?.changes).toEqual([
      { key: 'env.A', after: '1' },
      { key: 'timeout', before: 15000, after: 99 },
    ]);
    expect(entries[0]?.changes).toContainEqual({ key: 'env.A', before: '1' });
    expect(entries[2]?.changes).toEqual([]);
    const lines = (await connected(['versions', 'hello', '-o', 'text'])).stdout.split('\n');
    expect(lines[1]).toMatch(/^v3 +failed: start_failed +- .*env\.A 1 > \(none\), env\.B \(none\) > x{40}…, timeout 99 > 15000$/);
    expect(lines[2]).toMatch(/^v2 +ready +100 % .* ci .*faster \\x1b\[1m +env\.A \(none\) > 1, timeout 15000 > 99$/);
    expect(lines[3]).toMatch(/^v1 +ready +- /);
  });

  it('are pinned and unpinned by number', async () => {
    const route = `${VERSIONS}/3/pin`;
    api.json(`PUT ${route}`, { ...api.version(), version: 3, pinned: true });
    api.json(`DELETE ${route}`, { ...api.version(), version: 3 });
    expect(await connected(['versions', 'pin', 'hello', 'v3', '-o', 'text'])).toMatchObject({
      code: 0,
      stdout: 'version 3 of hello is pinned\n',
    });
    expect(JSON.parse((await connected(['versions', 'unpin', 'hello', '3'])).stdout)).not.toHaveProperty('pinned');
    expect(await connected(['versions', 'pin', 'hello', 'latest'])).toMatchObject({ code: 2, stdout: '' });
    expect((await connected(['versions', 'pin', 'hello'])).code).toBe(2);
    expect((await connected(['versions'])).code).toBe(2);
    history({ pinned: true }, {});
    expect((await connected(['versions', 'hello', '-o', 'text'])).stdout).toMatch(/^v1 +ready, pinned/m);
    expect((await connected(['versions', 'ls', 'hello'])).code).toBe(0);
  });

  it('of a function that is not there ends with 5', async () => {
    expect((await connected(['versions', 'nobody'])).code).toBe(5);
  });
});

describe('traffic', () => {
  it('is shown where nothing is set', async () => {
    api.json(`GET ${TRAFFIC}`, [{ version: 2, weight: 100 }]);
    expect(await connected(['traffic', 'hello', '-o', 'text'])).toMatchObject({ code: 0, stdout: 'VERSION  WEIGHT\nv2       100 %\n' });
  });

  it('is set by number and by "latest", the newest that is ready', async () => {
    history({}, {}, {}, { state: 'failed' }, { state: 'pending' });
    api.json(`PUT ${TRAFFIC}`, [
      { version: 1, weight: 10 },
      { version: 3, weight: 90 },
    ]);
    const { code, stderr } = await connected(['traffic', 'hello', 'v1=10', 'latest=90']);
    expect([code, stderr]).toEqual([0, 'hello is at v1 10 %, v3 90 %; undo: kiln rollback hello\n']);
    expect(lastBody()).toEqual([
      { version: 1, weight: 10 },
      { version: 3, weight: 90 },
    ]);
  });

  it.each([
    [['2'], '"2" is no share'],
    [['2=x'], '"2=x" is no share'],
    [['2=101'], '"2=101" is no share'],
    [['0=100'], '"0=100" is no share'],
    [['latest=-1'], '"latest=-1" is no share'],
    [['1=10', '2=80'], 'the weights sum to 90'],
    [['1=50', '1=50'], 'version 1 is named twice'],
  ])('%j is wrong usage, said before anything is sent', async (shares, message) => {
    const { code, stderr } = await connected(['traffic', 'hello', ...shares]);
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
    expect(stderr).toContain('kiln traffic hello');
    expect(api.seen).toEqual([]);
  });

  it('names the version that "latest" is, where it was named as well', async () => {
    history({}, {});
    expect(await connected(['traffic', 'hello', '2=50', 'latest=50'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('version 2'),
    });
  });

  it('can be made sticky, with the shares or without', async () => {
    const shares = [{ version: 2, weight: 100 }];
    api.json(`GET ${TRAFFIC}`, shares);
    api.json(`PUT ${TRAFFIC}`, shares);
    const on = await connected(['traffic', 'hello', '2=100', '--sticky']);
    expect([api.seen.at(-1)?.path, on.stderr]).toEqual([`${TRAFFIC}?sticky=true`, expect.stringContaining('keep their version')]);
    await connected(['traffic', 'hello', '--no-sticky']);
    expect([api.seen.at(-1)?.path, lastBody()]).toEqual([`${TRAFFIC}?sticky=false`, shares]);
    await connected(['traffic', 'hello', '2=100']);
    expect(api.seen.at(-1)?.path).toBe(TRAFFIC);
  });

  it('has no "latest" where nothing is ready, and no version that is not there', async () => {
    history({ state: 'failed' });
    expect((await connected(['traffic', 'hello', 'latest=100'])).code).toBe(6);
    api.fail(`PUT ${TRAFFIC}`, 'version_not_found', '"hello" has no version 9');
    expect((await connected(['traffic', 'hello', '9=100'])).code).toBe(5);
  });
});

describe('deploy -m', () => {
  it('sends the message with the folder, and refuses one that is no line', async () => {
    writeFileSync(join(root, 'index.js'), '');
    api.fail('POST /v1/functions/hello/builds', 'unavailable', 'not here');
    await connected(['deploy', root, '--name', 'hello', '-m', 'faster & better']);
    expect(new URLSearchParams(api.seen.at(-1)?.path.split('?')[1]).get('message')).toBe('faster & better');
    const before = api.seen.length;
    for (const message of ['two\nlines', 'x'.repeat(201)]) {
      expect((await connected(['deploy', root, '--name', 'hello', '-m', message])).code).toBe(2);
    }
    expect(api.seen).toHaveLength(before);
  });
});

describe('deployments', () => {
  const now = new Date().toISOString();
  const deployment = { id: 'd', function: 'hello', router: 'host-1', startedAt: now, updatedAt: now };

  it('under way or failed are told of beside the versions', async () => {
    const failed = { ...deployment, version: 1, state: 'failed', failure: { code: 'unavailable', detail: 'the router was lost' } };
    const building = { ...deployment, state: 'building' };
    api.json(`GET ${VERSIONS}`, { items: [{ ...api.version(), version: 1 }], next: null, deployments: [building, failed] });
    const { stdout, stderr } = await connected(['versions', 'hello', '-o', 'text']);
    expect(stdout).toMatch(/^v1 /m);
    expect(stderr).toMatch(/deployment: building since .* by router host-1/);
    expect(stderr).toMatch(/deployment of v1: failed .* ago: unavailable: the router was lost/);
    expect(JSON.parse((await connected(['versions', 'hello'])).stdout)).toMatchObject([
      { version: 1, deployment: failed },
      { function: 'hello', state: 'building', deployment: building },
    ]);
  });

  it('of a function that does not exist yet are told of', async () => {
    api.json('GET /v1/functions/new/versions', { items: [], next: null, deployments: [{ ...deployment, state: 'building' }] });
    expect(await connected(['versions', 'new', '-o', 'text'])).toMatchObject({ code: 0, stderr: expect.stringContaining('building') });
  });
});
