import { describe, expect, it } from 'vitest';
import { fixture } from '../support/inside.js';
import { cluster, itLives, withClusterAndBrowser } from './project.js';
import { SERVERS } from './projects/node-servers.js';

withClusterAndBrowser();

itLives(SERVERS);

describe('a server that listens for itself', () => {
  it.each([
    ['path', '/fn/express-server/echo', undefined],
    ['host', '/echo', { host: 'express-server.localhost' }],
  ])('gets a body, and is told where it is asked, by %s', async (way, path, headers) => {
    const echoed = await cluster.call(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: '{"a":1}',
    });
    expect(echoed.json()).toEqual({ body: { a: 1 }, prefix: way === 'path' ? '/fn/express-server' : null, env: 'production' });
  });

  it('is what was built of the sources, without what built it, on the port that its text says', async () => {
    await cluster.deploy(fixture('hono-server'), { name: 'hono-server' });
    expect((await cluster.call('/fn/hono-server/tools')).json()).toEqual({ typescript: false });
    const [version] = await cluster.versions('hono-server');
    expect([version?.kind, version?.config.port]).toEqual(['http', 3000]);
  });
});
