import { randomBytes } from 'node:crypto';

/** SGR codes, which every terminal that has colours knows. */
const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;
export type Style = keyof typeof CODES;

// Marks instead of escape sequences, until the text is written: whatever else it holds is shown and not obeyed. What others wrote
// can't hold them, for they are made anew in each run.
const NONCE = randomBytes(6).toString('hex');
const MARK = new RegExp(`\\ufdd0${NONCE}(\\d+)\\ufdd1`, 'g');

/** The text in a style, where it is written to a terminal with colours. */
export function paint(style: Style, text: string): string {
  return text === '' ? '' : `${mark(CODES[style])}${text}${mark(0)}`;
}

function mark(code: number): string {
  return `\ufdd0${NONCE}${code}\ufdd1`;
}

/** The text as it is written: with colours, or without. */
export function render(text: string, colours: boolean): string {
  return text.replace(MARK, colours ? '\u001b[$1m' : '');
}

/** How many columns it takes. */
export function widthOf(text: string): number {
  return render(text, false).length;
}

/** Whether a stream shows colours: NO_COLOR and FORCE_COLOR are heard before it is asked whether it is a terminal. */
export function hasColours(stream: { isTTY?: boolean }, environment: Readonly<Record<string, string | undefined>>): boolean {
  const { NO_COLOR, FORCE_COLOR, TERM } = environment;
  if (NO_COLOR) return false;
  if (FORCE_COLOR !== undefined) return FORCE_COLOR !== '0' && FORCE_COLOR !== 'false';
  return stream.isTTY === true && TERM !== 'dumb';
}

const STATES: Readonly<Record<string, Style>> = {
  ok: 'green',
  ready: 'green',
  answers: 'green',
  done: 'green',
  pending: 'yellow',
  building: 'yellow',
  draining: 'yellow',
  degraded: 'yellow',
  starting: 'yellow',
  running: 'yellow',
  warning: 'yellow',
  warn: 'yellow',
  away: 'red',
  refuses: 'red',
  has: 'red',
  unknown: 'yellow',
  failed: 'red',
  error: 'red',
  aborted: 'red',
  debug: 'dim',
};

/** A state, or a sentence that begins with one, in its colour. */
export function paintState(text: string): string {
  const [, word = ''] = /^(\w+)/.exec(text) ?? [];
  const style = STATES[word.toLowerCase()];
  return style === undefined ? text : paint(style, text);
}
