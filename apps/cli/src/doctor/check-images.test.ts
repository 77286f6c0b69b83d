import { expect, it } from 'vitest';
import { api, connected, withControlApi } from '../with-control-api.fixture.js';

withControlApi();

it('kiln doctor says which function has lost its image, and how it comes back', async () => {
  api.json('GET /v1/functions/hello/versions/2/image', { lost: true });
  const node = { ...api.node(), warnings: ['"hello" cannot start here: it is gone (kiln deploy)'] };
  api.json('GET /v1/nodes', { items: [node], next: null });
  const checks = JSON.parse((await connected(['doctor'])).stdout) as object[];
  const detail = 'it cannot start: the image of its version 2 is gone from its nodes';
  expect(checks).toContainEqual({ name: 'hello', state: 'failed', detail, fix: 'kiln deploy' });
  expect(checks).toContainEqual(expect.objectContaining({ name: 'node-1', state: 'warning', fix: 'kiln deploy' }));
});

it('kiln doctor does not say that all images are there where it cannot know', async () => {
  const checks = JSON.parse((await connected(['doctor'])).stdout) as object[];
  expect(checks).toContainEqual(expect.objectContaining({ name: 'images', state: 'warning' }));
  api.json('GET /v1/functions/hello/versions/2/image', { lost: false });
  expect(JSON.parse((await connected(['doctor'])).stdout)).toContainEqual(expect.objectContaining({ name: 'images', state: 'ok' }));
});
