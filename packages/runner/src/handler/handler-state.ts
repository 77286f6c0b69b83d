/** On the response of a request, or on the socket of an upgrade: what its handler is at. */
const STATE = Symbol('handler');

/**
 * `settled`: it returned a promise that has settled, or it threw. `left open`: it returned no promise and had not ended its answer, so a
 * callback may be at work for it.
 */
export type Settled = 'settled' | 'left open';

type State = 'running' | Settled | ((settled: Settled) => void);

interface Carrier {
  [STATE]?: State;
}

export function handlerRuns(carrier: object): void {
  (carrier as Carrier)[STATE] = 'running';
}

export function handlerSettled(carrier: object, settled: Settled): void {
  const state = (carrier as Carrier)[STATE];
  (carrier as Carrier)[STATE] = settled;
  if (typeof state === 'function') state(settled);
}

/** Calls back when its handler has settled: at once where it has, or never ran. */
export function whenHandlerSettled(carrier: object, callback: (settled: Settled) => void): void {
  const state = (carrier as Carrier)[STATE];
  if (state === 'running') (carrier as Carrier)[STATE] = callback;
  else callback(typeof state === 'string' ? state : 'settled');
}
