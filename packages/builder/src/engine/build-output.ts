import { KilnError } from '@kiln/contract/errors';

const LAST_LINES = 20;
/** More lines are not passed on; a failure still shows the last ones. */
const MAX_LINES = 10_000;
const MAX_LINE = 4096;
/** Characters of the step that a failure names. */
const MAX_STEP = 200;
/** The duration of a shorter step is not reported. */
const REPORTED_MS = 500;
/** Lines that are of no use to a user. */
const BOOKKEEPING = /^( ---> |Step \d+\/\d+ : LABEL kiln\.build\.|Removing intermediate container |Successfully (built|tagged) )/;

/** The output of a build, line by line. The engine sends parts of lines, with the colours of the commands. */
export class BuildOutput {
  #piece = '';
  #step = '';
  #stepSince = 0;
  #count = 0;
  readonly #last: string[] = [];

  constructor(
    private readonly onLine: (line: string) => void,
    private readonly onImage: (id: string) => void = () => undefined,
    /** Removes the contents of secrets. */
    private readonly mask: (text: string) => string = (text) => text,
  ) {}

  add(text: string): void {
    const lines = (this.#piece + text).split(/\r?\n/);
    this.#piece = (lines.pop() ?? '').slice(0, MAX_LINE);
    for (const line of lines) this.#addLine(this.mask(plain(line)).slice(0, MAX_LINE));
  }

  /** Begins a step that Kiln runs itself. */
  enter(title: string): void {
    this.#addLine(this.mask(title));
  }

  #addLine(line: string): void {
    const [, image] = /^ ---> ([0-9a-f]{12})$/.exec(line) ?? [];
    if (image !== undefined) this.onImage(image);
    if (line === '' || BOOKKEEPING.test(line)) return;
    // A failure shows only the output of its own step.
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
    // A step from the cache is too short to report.
    if (this.#step !== '' && took > REPORTED_MS)
      this.onLine(`${/^Step \d+\/\d+/.exec(this.#step)?.[0]} took ${(took / 1000).toFixed(1)} s`);
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

/** Removes the command from the engine's message: the step names it already. */
function withoutCommand(error: string): string {
  const end = error.lastIndexOf("' returned a non-zero code: ");
  return error.startsWith("The command '") && end > 0 ? `The command${error.slice(end + 1)}` : error;
}

/** Removes colours and control characters, which could change what a terminal shows. */
function plain(line: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this takes out
  return line.replace(/\u001b\[[0-9;?]*[A-Za-z]|[\u0000-\u0008\u000b-\u001f\u007f]/g, '');
}
