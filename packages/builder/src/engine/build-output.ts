import { KilnError } from '@kiln/contract/errors';

const LAST_LINES = 20;
/** A flood is not passed on; its end is, where the build fails. */
const MAX_LINES = 10_000;
const MAX_LINE = 4096;
/** Of the step that a failure names. */
const MAX_STEP = 200;
/** Of a step, from which on its time is told. */
const TOLD_MS = 500;
/** Lines that tell a user nothing. */
const BOOKKEEPING = /^( ---> |Step \d+\/\d+ : LABEL kiln\.build\.|Removing intermediate container |Successfully (built|tagged) )/;

/** The engine sends pieces of lines, coloured as the commands print them. */
export class BuildOutput {
  #piece = '';
  #step = '';
  #stepSince = 0;
  #count = 0;
  readonly #last: string[] = [];

  constructor(
    private readonly onLine: (line: string) => void,
    private readonly onImage: (id: string) => void = () => undefined,
    /** Takes out what nobody may read. */
    private readonly mask: (text: string) => string = (text) => text,
  ) {}

  add(text: string): void {
    const lines = (this.#piece + text).split(/\r?\n/);
    this.#piece = (lines.pop() ?? '').slice(0, MAX_LINE);
    for (const line of lines) this.#addLine(this.mask(plain(line)).slice(0, MAX_LINE));
  }

  /** A step that is not the engine's own. */
  enter(title: string): void {
    this.#addLine(this.mask(title));
  }

  #addLine(line: string): void {
    const [, image] = /^ ---> ([0-9a-f]{12})$/.exec(line) ?? [];
    if (image !== undefined) this.onImage(image);
    if (line === '' || BOOKKEEPING.test(line)) return;
    // What a failure shows is what its own step wrote.
    if (/^Step \d+\/\d+ : /.test(line)) this.#enter(line);
    else this.#last.push(line);
    if (this.#last.length > LAST_LINES) this.#last.shift();
    this.#count += 1;
    if (this.#count < MAX_LINES) this.onLine(line);
    if (this.#count === MAX_LINES) this.onLine(`more than ${MAX_LINES} lines: the others are not shown`);
  }

  #enter(step: string): void {
    const now = performance.now();
    const took = now - this.#stepSince;
    // A step found in the cache takes no time worth a line.
    if (this.#step !== '' && took > TOLD_MS) this.onLine(`${/^Step \d+\/\d+/.exec(this.#step)?.[0]} took ${(took / 1000).toFixed(1)} s`);
    this.#step = step;
    this.#last.length = 0;
    this.#stepSince = now;
  }

  failure(error: string): KilnError {
    this.#addLine(this.mask(plain(this.#piece)));
    this.#piece = '';
    const step = this.#step.length > MAX_STEP ? `${this.#step.slice(0, MAX_STEP)}…` : this.#step;
    const where = step === '' ? 'build failed' : `build failed at ${step.replace(/ : /, ' "')}"`;
    const last = this.#last.length === 0 ? '' : `\n${this.#last.join('\n')}`;
    const fix = 'correct what the step says, then deploy or push again; kiln build tries it on your own machine';
    return new KilnError('bad_request', `${where}: ${this.mask(plain(withoutCommand(error)))}${last}`, { fix });
  }
}

/** The engine repeats the command, which stands in the step already. */
function withoutCommand(error: string): string {
  const end = error.lastIndexOf("' returned a non-zero code: ");
  return error.startsWith("The command '") && end > 0 ? `The command${error.slice(end + 1)}` : error;
}

/** Without the control characters, colours first, that could write over what a terminal shows. */
function plain(line: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this takes out
  return line.replace(/\u001b\[[0-9;?]*[A-Za-z]|[\u0000-\u0008\u000b-\u001f\u007f]/g, '');
}
