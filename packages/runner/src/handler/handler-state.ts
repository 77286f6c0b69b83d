/** The state of a handler, kept on the response of its request, or on the socket of its upgrade. */
const STATE = Symbol('handler');

/**
 * `settled`: the handler returned a promise that has settled, or it threw. `left open`: it returned no promise and had not ended its
 * response, so a callback may still work on it.
 */
export type Settled = 'settled' | 'left open';

type State = 'running' | Settled | ((settled: Settled) => void);

interface Answer {
  [STATE]?: State;
}

export function handlerRuns(answer: object): void {
  (answer as Answer)[STATE] = 'running';
}

export function handlerSettled(answer: object, settled: Settled): void {
  const state = (answer as Answer)[STATE];
  (answer as Answer)[STATE] = settled;
  if (typeof state === 'function') state(settled);
}

/** Calls back when the handler has settled; at once where it has settled already, or never ran. */
export function whenHandlerSettled(answer: object, callback: (settled: Settled) => void): void {
  const state = (answer as Answer)[STATE];
  if (state === 'running') (answer as Answer)[STATE] = callback;
  else callback(typeof state === 'string' ? state : 'settled');
}
