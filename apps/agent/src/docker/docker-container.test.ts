import { setTimeout as delay } from 'node:timers/promises';
import { Gate } from '@kiln/instances/room/gate';
import { describe, expect, it } from 'vitest';
import { DockerContainer } from './docker-container.js';

const KILLED = 137;

/** A container of which the engine says what `state` holds. */
function container(exitNewsMs = 5000) {
  const state = { Running: true, OOMKilled: false, ExitCode: 0, Pid: 0 };
  const made = new DockerContainer({
    container: { id: 'c', inspect: async () => ({ State: { ...state } }) } as never,
    request: { version: { kind: 'http' } } as never,
    address: undefined,
    removals: new Gate(1),
    exitNewsMs,
    onTrouble: () => undefined,
    onGone: () => undefined,
  });
  return { made, state };
}

describe('an end that the engine is slow to tell', () => {
  it('is waited for where the engine says already that nothing runs', async () => {
    const { made, state } = container();
    state.Running = false;
    const news = made.exitNews();
    await delay(1500);
    made.died(3);
    expect(await news).toEqual({ code: 3, outOfMemory: false });
  });

  it('is waited for so long and no longer', async () => {
    const { made, state } = container(200);
    state.Running = false;
    expect(await made.exitNews()).toBeUndefined();
  });

  it('is not waited for where the process runs on', async () => {
    const { made } = container(60_000);
    const began = performance.now();
    expect(await made.exitNews()).toBeUndefined();
    expect(performance.now() - began).toBeLessThan(5000);
  });
});

describe('the end of a process that was killed', () => {
  it('is one for lack of memory, though the kernel’s word comes after it', async () => {
    const { made, state } = container();
    made.died(KILLED);
    await made.ended;
    await delay(500);
    state.OOMKilled = true;
    expect(await made.exited).toEqual({ code: KILLED, outOfMemory: true });
  });

  it('is one for lack of memory, though the event of that comes after it', async () => {
    const { made } = container();
    made.died(KILLED);
    await delay(500);
    made.sawOutOfMemory();
    expect(await made.exited).toEqual({ code: KILLED, outOfMemory: true });
    expect(made.lackedMemory).toBe(true);
  });

  it('is none where nothing says so within a second', async () => {
    const { made } = container();
    made.died(KILLED);
    expect(await made.exited).toEqual({ code: KILLED, outOfMemory: false });
  });
});
