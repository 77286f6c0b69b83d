import { describe, expect, it } from 'vitest';
import { api, connected, withControlApi } from '../../with-control-api.fixture.js';

withControlApi();

describe('kiln nodes', () => {
  it.each([
    ['drains a node', 'POST', 'drain', true],
    ['takes a drain back', 'DELETE', 'undrain', false],
  ])('%s', async (_what, method, command, draining) => {
    api.json(`${method} /v1/nodes/node-1/drain`, undefined, 204);
    expect(JSON.parse((await connected(['nodes', command, 'node-1'])).stdout)).toEqual({ id: 'node-1', draining });
  });
});
