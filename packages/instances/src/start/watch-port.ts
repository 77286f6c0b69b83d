import { setTimeout as delay } from 'node:timers/promises';
import { KilnError } from '@kiln/contract/errors';
import type { Instance } from '../instance/instance.js';
import type { Activity, Listener } from '../port/container-driver.js';
import { withLastLines } from '../port/exit.js';

const LOOK_MS = 1000;
/**
 * A program may open another port first: for this share of its `startTimeout` nothing may change, and the program may do next to
 * nothing. One that waits longer for something else says so by its timeout.
 */
const STEADY_SHARE = 1 / 6;
/** Of its cores: a program that works, as one that loads a model, is not done with its start. */
const WORKING_SHARE = 0.2;
/** From here on the kernel gives ports away: nobody is meant to know them. */
const FIRST_GIVEN = 32_768;
const DEBUGGER = 9229;

export interface Misplaced {
  why: string;
  fix: string;
}

/** Where a program listens in place of its port; undefined where it listens there, or nowhere. */
export function misplaced(all: readonly Listener[], port: number): Misplaced | undefined {
  const listeners = all.filter((each) => each.port === port || (each.port < FIRST_GIVEN && each.port !== DEBUGGER));
  const right = listeners.filter((each) => each.port === port);
  const open = listeners.filter(({ isLoopback }) => !isLoopback);
  if (right.some(({ isLoopback }) => !isLoopback) || listeners.length === 0) return undefined;
  if (right.length > 0)
    return { why: `it listens on 127.0.0.1:${port} only, which nobody outside of it can reach`, fix: 'listen on 0.0.0.0' };
  const ports = [...new Set((open.length > 0 ? open : listeners).map((each) => each.port))].sort((a, b) => a - b);
  const setPort = `set "port": ${ports.join(' or ')} in kiln.json, or listen on the port in the variable PORT`;
  if (open.length > 0) return { why: `it listens on ${ports.join(' and ')}, not on ${port}`, fix: setPort };
  return { why: `it listens on ${ports.join(' and ')} of 127.0.0.1, not on ${port} of 0.0.0.0`, fix: `listen on 0.0.0.0; and ${setPort}` };
}

/** Looks where a program listens during its start. @throws KilnError `start_failed` once it has settled in the wrong place; the signal's reason */
export async function watchPort({ container, log, version }: Instance, signal: AbortSignal, lookMs = LOOK_MS): Promise<never> {
  const { port, cpu, startTimeout } = version.config;
  const steady = new Steadiness(lookMs * WORKING_SHARE * Math.min(1, cpu));
  for (;;) {
    await delay(lookMs, undefined, { signal, ref: false });
    const activity = await container?.activity?.().catch(() => undefined);
    const found = activity && misplaced(activity.listeners, port);
    if (steady.since(found?.why, activity) < startTimeout * STEADY_SHARE || found === undefined) continue;
    throw new KilnError('start_failed', withLastLines(found.why, log?.lastLines ?? []), { fix: found.fix });
  }
}

/** For how long a program has listened in the same place without any work. */
class Steadiness {
  private what: string | undefined;
  private cpuMs = 0;
  private began = 0;

  constructor(private readonly workingMs: number) {}

  since(what: string | undefined, activity: Activity | undefined): number {
    const now = performance.now();
    const cpuMs = activity?.cpuMs ?? 0;
    if (what !== this.what || cpuMs - this.cpuMs > this.workingMs) this.began = now;
    this.what = what;
    this.cpuMs = cpuMs;
    return now - this.began;
  }
}
