import { createInterface } from 'node:readline';
import { type Readable, Writable } from 'node:stream';
import { Interrupted } from '../failure.js';
import { asInvoked } from '../hints.js';
import { neutralise } from './neutralise.js';
import { hasColours, render } from './style.js';
import { wrapWords } from './words.js';

type MaybeTerminal = { isTTY?: boolean; columns?: number };

/** The three streams of a run, and the signals that interrupt it. Tests supply their own. */
export interface Streams {
  stdin: Readable & MaybeTerminal;
  stdout: Writable & MaybeTerminal;
  stderr: Writable & MaybeTerminal;
  /** Aborted by the first Ctrl-C, SIGTERM or SIGHUP. */
  interrupted: AbortSignal;
  /** Aborted by the second. */
  insisted: AbortSignal;
}

/** Moves to the start of the line and erases the line. */
const ERASE_LINE = '\r\u001b[K';
const USUAL_COLUMNS = 80;

export class Terminal {
  #status = '';
  private readonly colours: { stdout: boolean; stderr: boolean };
  private readonly command: string | undefined;
  readonly interrupted: AbortSignal;
  readonly insisted: AbortSignal;
  /** Names of all commands, as the program has them. */
  commands: readonly string[] = [];
  /** A command sets this to handle the interruption itself; otherwise the run ends at once. */
  endsItself = false;
  /** A command sets this too when a second Ctrl-C may end the run at once. */
  mayBeLeft = false;
  /** Escapes lines that the reader of the output, GitHub for example, would take for commands. */
  disarm = (text: string): string => text;

  constructor(
    readonly streams: Streams,
    environment: Readonly<Record<string, string | undefined>> = {},
  ) {
    this.colours = { stdout: hasColours(streams.stdout, environment), stderr: hasColours(streams.stderr, environment) };
    this.command = environment.KILN_COMMAND;
    this.interrupted = streams.interrupted;
    this.insisted = streams.insisted;
  }

  /** True when a user can answer: questions go to stderr, answers come from stdin. */
  get canAsk(): boolean {
    return this.streams.stdin.isTTY === true && this.streams.stderr.isTTY === true;
  }

  get dataIsShown(): boolean {
    return this.streams.stdout.isTTY === true;
  }

  /** The width of stdout; undefined when it is no terminal. */
  get columns(): number | undefined {
    return columnsOf(this.streams.stdout);
  }

  /** The width of stderr; undefined when it is no terminal. */
  get proseColumns(): number | undefined {
    return columnsOf(this.streams.stderr);
  }

  /** The text with its commands as the user has to type them here. */
  hint(text: string): string {
    return asInvoked(text, this.command, this.commands);
  }

  /** Writes lines to stderr, unwrapped and without control characters. */
  say(line: string): void {
    this.announce(this.disarm(line));
  }

  /** Writes a sentence to stderr, wrapped between words on a terminal. */
  sayProse(text: string): void {
    this.say(wrapWords(text, this.proseColumns ?? Number.POSITIVE_INFINITY).join('\n'));
  }

  /** Writes a line without `disarm`: GitHub has to take it for a command. */
  announce(line: string): void {
    const shown = render(neutralise(line), this.colours.stderr);
    this.streams.stderr.write(`${this.#status === '' ? '' : ERASE_LINE}${shown}\n${this.#status}`);
  }

  /** Shows one line below all others, on a terminal only. The next call replaces it, '' removes it. */
  status(text: string): void {
    const columns = this.proseColumns;
    if (columns === undefined || (this.interrupted.aborted && text !== '')) return;
    // A wrapped line could not be replaced.
    const status = neutralise(text).slice(0, columns - 1);
    if (status === this.#status) return;
    this.#status = status;
    this.streams.stderr.write(`${ERASE_LINE}${this.#status}`);
  }

  /** Asks a question and returns the first line of the answer. */
  async ask(question: string): Promise<string> {
    this.streams.stderr.write(neutralise(question));
    let answer = '';
    for await (const chunk of this.streams.stdin) {
      answer += String(chunk);
      if (answer.includes('\n')) break;
    }
    return answer.trim();
  }

  /** Asks without showing the answer; end of input returns ''. @throws Interrupted at Ctrl-C */
  async askHidden(question: string): Promise<string> {
    const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
    const lines = createInterface({ input: this.streams.stdin, output: nowhere, terminal: true });
    // Asked last, when the terminal echoes nothing any more: an early answer would be visible.
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

  /** Writes data to stdout, in complete lines. */
  data(text: string): void {
    this.streams.stdout.write(`${render(text, this.colours.stdout)}\n`);
  }
}

function columnsOf({ isTTY, columns = USUAL_COLUMNS }: MaybeTerminal): number | undefined {
  return isTTY === true ? columns : undefined;
}
