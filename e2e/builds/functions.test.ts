import { describe, expect, it } from 'vitest';
import { fixture } from '../support/inside.js';
import { cluster, itLives, withClusterAndBrowser } from './project.js';
import { FUNCTIONS } from './projects/functions.js';

withClusterAndBrowser();

itLives(FUNCTIONS);

describe('one module of several functions', () => {
  it('is each of them, with the configuration that stands beside its code', async () => {
    await cluster.deploy(fixture('typescript-functions'), { name: 'longer' });
    expect((await cluster.call('/fn/longer/')).json()).toEqual({ ms: 172_800_000 });
    expect((await cluster.versions('longer'))[0]?.config).toMatchObject({ handler: 'longer', timeout: 9_000 });
    await cluster.deploy(fixture('many-exports'), { name: 'other', config: { handler: 'defined' } });
    expect((await cluster.call('/fn/other/')).text).toBe('defined');
  });
});
