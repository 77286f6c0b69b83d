import { createInterface } from 'node:readline';
import { type Readable, Writable } from 'node:stream';
import { Interrupted } from '../failure.js';
import { asInvoked, invokedAs } from '../hints.js';
import { neutralise } from './neutralise.js';
import { hasColours, render } from './style.js';
import { wrapWords } from './words.js';

type MaybeTerminal = { isTTY?: boolean; columns?: number };

/** The three streams of a run and the ways to interrupt it; tests bring their own. */
export interface Streams {
  stdin: Readable & MaybeTerminal;
  stdout: Writable & MaybeTerminal;
  stderr: Writable & MaybeTerminal;
  /** Aborted by the first Ctrl-C, SIGTERM or SIGHUP. */
  interrupted: AbortSignal;
  /** Aborted by the second. */
  insisted: AbortSignal;
}

/** To the line's begin, and nothing right of it. */
const ERASE_LINE = '\r\u001b[K';

const USUAL_COLUMNS = 80;

export class Terminal {
  #status = '';
  private readonly colours: { stdout: boolean; stderr: boolean };
  private readonly command: string;
  /** Set by a command that ends in its own way when interrupted; all others are simply left. */
  endsItself = false;
  /** Set beside it where a second Ctrl-C leaves at once. */
  mayBeLeft = false;

  /** What else prose must not hold where its reader takes some lines for commands. */
  disarm = (text: string): string => text;

  constructor(
    readonly streams: Streams,
    environment: Readonly<Record<string, string | undefined>> = {},
  ) {
    this.colours = { stdout: hasColours(streams.stdout, environment), stderr: hasColours(streams.stderr, environment) };
    this.command = invokedAs(environment);
  }

  get interrupted(): AbortSignal {
    return this.streams.interrupted;
  }

  get insisted(): AbortSignal {
    return this.streams.insisted;
  }

  /** True where a person can be asked: questions go to stderr, answers come from stdin. */
  get canAsk(): boolean {
    return this.streams.stdin.isTTY === true && this.streams.stderr.isTTY === true;
  }

  get dataIsShown(): boolean {
    return this.streams.stdout.isTTY === true;
  }

  /** How wide data may be; undefined where no person reads it. */
  get columns(): number | undefined {
    const { isTTY, columns = USUAL_COLUMNS } = this.streams.stdout;
    return isTTY === true ? columns : undefined;
  }

  /** The same for what is said. */
  get proseColumns(): number | undefined {
    const { isTTY, columns = USUAL_COLUMNS } = this.streams.stderr;
    return isTTY === true ? columns : undefined;
  }

  /** Commands in a text of ours as they have to be typed here. */
  hint(text: string): string {
    return asInvoked(text, this.command);
  }

  /** Lines in the form that they have, on stderr; whatever they quote can't steer the terminal. */
  say(line: string): void {
    this.announce(this.disarm(line));
  }

  /** A sentence of ours, of which no word is broken where a person reads it. */
  sayProse(text: string): void {
    this.say(wrapWords(text, this.proseColumns ?? Number.POSITIVE_INFINITY).join('\n'));
  }

  /** A line that is meant to be taken for a command by who reads the output of a workflow. */
  announce(line: string): void {
    const shown = render(neutralise(line), this.colours.stderr);
    this.streams.stderr.write(`${this.#status === '' ? '' : ERASE_LINE}${shown}\n${this.#status}`);
  }

  /** One line below all others, written over by the next; '' takes it away. Only where a person watches. */
  status(text: string): void {
    const { isTTY, columns = USUAL_COLUMNS } = this.streams.stderr;
    if (isTTY !== true || (this.interrupted.aborted && text !== '')) return;
    // One that wraps could not be written over.
    const status = neutralise(text).slice(0, columns - 1);
    if (status === this.#status) return;
    this.#status = status;
    this.streams.stderr.write(`${ERASE_LINE}${this.#status}`);
  }

  /** A question without a line end, and the first line of the answer. */
  async ask(question: string): Promise<string> {
    this.streams.stderr.write(neutralise(question));
    let answer = '';
    for await (const chunk of this.streams.stdin) {
      answer += String(chunk);
      if (answer.includes('\n')) break;
    }
    return answer.trim();
  }

  /** The same without showing what is typed; a terminal's own end of input gives nothing. @throws Interrupted at Ctrl-C */
  async askHidden(question: string): Promise<string> {
    const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
    const lines = createInterface({ input: this.streams.stdin, output: nowhere, terminal: true });
    // Last: whoever answers at once would be shown by a terminal that still echoes.
    this.streams.stderr.write(neutralise(question));
    try {
      return await new Promise<string>((resolve, reject) => {
        lines.once('line', resolve);
        lines.once('SIGINT', () => reject(new Interrupted()));
        lines.once('close', () => resolve(''));
      });
    } finally {
      lines.close();
      this.streams.stderr.write('\n');
    }
  }

  /** Data, on stdout, complete lines. */
  data(text: string): void {
    this.streams.stdout.write(`${render(text, this.colours.stdout)}\n`);
  }
}
