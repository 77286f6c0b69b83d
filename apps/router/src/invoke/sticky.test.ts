import { describe, expect, it } from 'vitest';
import { pickVersion, stuckTo } from './address.js';
import { type DoorOptions, get, openDoor, routeOf, text } from './door.fixture.js';

const shared = (sticky: boolean, weights = [50, 50]) => ({
  ...routeOf('hello', {}),
  traffic: weights.map((weight, i) => ({ version: i + 1, weight })).filter(({ weight }) => weight > 0),
  sticky,
});

async function stickyDoor(sticky = true, options: DoorOptions = {}) {
  const door = await openDoor(options);
  door.routes.set('hello', shared(sticky));
  const call = async (headers: Record<string, string> = {}, path?: string) => {
    const answer = await get(door, path, { headers });
    const sent = JSON.parse(await text(answer)) as { headers: string[] };
    return { version: answer.headers['x-kiln-version'], cookies: answer.headers['set-cookie'] ?? [], sent: sent.headers };
  };
  return { door, call };
}

const cookieOf = (version: number) => ({ cookie: `other=1; x-kiln-sticky=${version}; more=2` });

describe('a version that a client keeps', () => {
  it('is told by a cookie for this function alone, and met again as long as it has weight', async () => {
    const { door, call } = await stickyDoor();
    const { version, cookies } = await call();
    expect(cookies).toEqual([`x-kiln-sticky=${version}; Path=/fn/hello/; Max-Age=86400; HttpOnly; SameSite=Lax`]);
    for (let i = 0; i < 20; i += 1) expect(await call(cookieOf(Number(version)))).toMatchObject({ version, cookies: [] });
    door.routes.set('hello', shared(true, version === '1' ? [0, 100] : [100, 0]));
    expect((await call(cookieOf(Number(version)))).version).not.toBe(version);
  });

  it('is on a host of its own kept for all its paths', async () => {
    const { call } = await stickyDoor();
    expect((await call({ host: 'hello.localhost' }, '/any')).cookies[0]).toMatch(/^x-kiln-sticky=[12]; Path=\/; /);
  });

  it('leaves the cookies of the function alone, both ways', async () => {
    const { call } = await stickyDoor(true, {
      answer: (request, response) => {
        response.setHeader('Set-Cookie', 'a=1');
        response.end(JSON.stringify({ headers: request.rawHeaders }));
      },
    });
    const { cookies, sent } = await call({ cookie: 'session=abc' });
    expect(cookies).toEqual(['a=1', expect.stringMatching(/^x-kiln-sticky=/)]);
    expect(sent.slice(sent.indexOf('cookie')).slice(0, 2)).toEqual(['cookie', 'session=abc']);
  });

  it('is asked for by nobody where the traffic is not set so, where there is no choice, or for a fixed version', async () => {
    const { door, call } = await stickyDoor(false);
    expect((await call()).cookies).toEqual([]);
    const drawn = new Set<unknown>();
    for (let i = 0; i < 40; i += 1) drawn.add((await call(cookieOf(1))).version);
    expect(drawn).toEqual(new Set(['1', '2']));
    door.routes.set('hello', shared(true, [100]));
    expect((await call()).cookies).toEqual([]);
    door.routes.set('hello', shared(true));
    expect(await call(cookieOf(1), '/fn/hello@2/')).toMatchObject({ version: '2', cookies: [] });
  });
});

describe('a forged cookie', () => {
  it.each(['3', '0', '-1', '1e0', '01', '99999999999999999999', 'x', '', '1 2', '%31', '__proto__'])('of %j is drawn for', (value) => {
    const route = { ...shared(true), versions: new Map([...routeOf('hello', {}).versions, [3, routeOf('hello', {}).versions.get(1)!]]) };
    const stuck = stuckTo(`x-kiln-sticky=${value}`);
    expect(pickVersion(route, undefined, () => 0, stuck)?.version).toBe(1);
    expect(pickVersion(route, undefined, () => 0.99, stuck)?.version).toBe(2);
  });

  it('is looked for in time that grows with its length only', () => {
    for (const hostile of [`${';'.repeat(30_000)}x`, `;${' '.repeat(30_000)}x`, `${'; x-kiln-sticky=1x'.repeat(1500)}`]) {
      const began = performance.now();
      expect(stuckTo(hostile)).toBeUndefined();
      expect(performance.now() - began).toBeLessThan(200);
    }
  });
});
