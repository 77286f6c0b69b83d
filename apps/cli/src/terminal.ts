import { createInterface } from 'node:readline';
import { type Readable, Writable } from 'node:stream';
import { Interrupted } from './failure.js';
import { neutralise } from './output/neutralise.js';

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

export class Terminal {
  #status = '';
  /** Set by a command that ends in its own way when interrupted; all others are simply left. */
  endsItself = false;

  /** What else prose must not hold where its reader takes some lines for commands. */
  disarm = (text: string): string => text;

  constructor(readonly streams: Streams) {}

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

  /** Prose and progress, on stderr; whatever it quotes can't steer the terminal. */
  say(line: string): void {
    this.command(this.disarm(line));
  }

  /** A line that is meant to be taken for one. */
  command(line: string): void {
    this.streams.stderr.write(`${this.#status === '' ? '' : ERASE_LINE}${neutralise(line)}\n${this.#status}`);
  }

  /** One line below all others, written over by the next; '' takes it away. Only where a person watches. */
  status(text: string): void {
    const { isTTY, columns = 80 } = this.streams.stderr;
    if (isTTY !== true) return;
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
    this.streams.stdout.write(`${text}\n`);
  }
}
