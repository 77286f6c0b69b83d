import { beforeAll, describe, expect, it, vi } from 'vitest';
import { Agent } from '../agent.js';
import { app, call, containers, control, create, stateOf, storedDraining, withRunningAgent } from '../running-agent.fixture.js';

withRunningAgent();

beforeAll(async () => {
  await create('proved');
  await vi.waitFor(async () => expect(await stateOf('proved')).toBe('ready'), 20_000);
});

describe('a node', () => {
  it('drains when told: refuses, finishes what runs, and says so', async () => {
    const running = call('proved', 1, 'await new Promise((resolve) => setTimeout(resolve, 1000)); return 1');
    await vi.waitFor(() => expect(app.get(Agent).node.pools.activeLeases).toBe(1), 5000);
    expect((await control('/drain', { method: 'POST' })).status).toBe(202);
    const refused = await call('proved');
    expect([refused.status, refused.headers['x-kiln-error'], refused.headers['x-kiln-not-executed']]).toEqual([503, 'unavailable', '1']);
    expect((await running).status).toBe(200);
    await vi.waitFor(async () => expect(await containers()).toEqual([]), 5000);
    expect((await control('/readyz')).status).toBe(503);
    await vi.waitFor(async () => expect(await storedDraining()).toBe(true), 5000);
  });

  it('takes new work again when the drain is taken back, at its end and in the middle of it', async () => {
    expect((await control('/drain', { method: 'DELETE' })).status).toBe(200);
    expect([(await control('/readyz')).status, await storedDraining()]).toEqual([200, false]);
    expect((await call('proved')).headers['x-kiln-start']).toBe('cold');
    const running = call('proved', 1, 'await new Promise((resolve) => setTimeout(resolve, 1500)); return "to its end"');
    await vi.waitFor(() => expect(app.get(Agent).node.pools.activeLeases).toBe(1), 5000);
    await control('/drain', { method: 'POST' });
    expect((await call('proved')).status).toBe(503);
    expect((await control('/drain', { method: 'DELETE' })).status).toBe(200);
    expect((await call('proved')).status).toBe(200);
    expect(await running).toMatchObject({ status: 200, text: '"to its end"' });
    // Taken back twice is taken back.
    expect((await control('/drain', { method: 'DELETE' })).status).toBe(200);
  });
});
