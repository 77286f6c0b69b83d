import { randomBytes } from 'node:crypto';

/** SGR codes: every terminal with colours supports them. */
const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;
type Style = keyof typeof CODES;

// Marks stand for escape sequences until the text is written, so that `neutralise` can remove every real one before.
// Foreign text cannot contain a mark: it has a random part that is new in each run.
const NONCE = randomBytes(6).toString('hex');
const MARK = new RegExp(`\\ufdd0${NONCE}(\\d+)\\ufdd1`, 'g');

/** Marks the text with a style, which shows on a terminal with colours. */
export function paint(style: Style, text: string): string {
  return text === '' ? '' : `${mark(CODES[style])}${text}${mark(0)}`;
}

function mark(code: number): string {
  return `\ufdd0${NONCE}${code}\ufdd1`;
}

/** Turns marks into colours, or removes them. */
export function render(text: string, colours: boolean): string {
  return text.replace(MARK, colours ? '\u001b[$1m' : '');
}

/** The number of columns that a text takes. */
export function widthOf(text: string): number {
  return render(text, false).length;
}

/** Whether a stream shows colours. NO_COLOR and FORCE_COLOR decide first, then whether the stream is a terminal. */
export function hasColours(stream: { isTTY?: boolean }, environment: Readonly<Record<string, string | undefined>>): boolean {
  const { NO_COLOR, FORCE_COLOR, TERM } = environment;
  if (NO_COLOR) return false;
  if (FORCE_COLOR !== undefined) return FORCE_COLOR !== '0' && FORCE_COLOR !== 'false';
  return stream.isTTY === true && TERM !== 'dumb';
}

const STATES: Partial<Record<Style, readonly string[]>> = {
  green: ['ok', 'ready', 'answers', 'done'],
  yellow: ['pending', 'building', 'draining', 'degraded', 'starting', 'running', 'warning', 'warn', 'unknown'],
  red: ['away', 'refuses', 'has', 'failed', 'error', 'aborted'],
  dim: ['debug'],
};

/** Colours a state, or a sentence that begins with one. */
export function paintState(text: string): string {
  const [, word = ''] = /^(\w+)/.exec(text) ?? [];
  const [style] = Object.entries(STATES).find(([, states]) => states.includes(word.toLowerCase())) ?? [];
  return style === undefined ? text : paint(style as Style, text);
}
