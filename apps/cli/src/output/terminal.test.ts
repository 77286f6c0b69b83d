import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { Progress } from './progress-bar.js';
import { Terminal } from './terminal.js';

function terminal(isTTY: boolean, columns?: number) {
  const stderr = Object.assign(new PassThrough(), { isTTY, ...(columns !== undefined && { columns }) });
  const interrupted = new AbortController();
  const { signal } = interrupted;
  const made = new Terminal({ stdin: new PassThrough(), stdout: new PassThrough(), stderr, interrupted: signal, insisted: signal });
  return { made, written: () => String(stderr.read() ?? ''), interrupt: () => interrupted.abort('SIGINT') };
}

describe('what is said', () => {
  it('as a sentence breaks no word where a person reads it, and anything else keeps its form', () => {
    const { made, written } = terminal(true, 20);
    made.sayProse('made key abc (read): keep it now');
    made.say('x-header: a value that is longer than a line');
    expect(written()).toBe('made key abc (read):\nkeep it now\nx-header: a value that is longer than a line\n');
    const program = terminal(false, 20);
    program.made.sayProse('made key abc (read): keep it now');
    expect(program.written()).toBe('made key abc (read): keep it now\n');
  });
});

describe('the status line', () => {
  it('stays below what is said, and goes', () => {
    const { made, written } = terminal(true);
    made.status('one');
    made.say('a line');
    made.status('two');
    made.status('two');
    made.status('');
    made.say('last');
    expect(written()).toBe('\r\u001b[Kone\r\u001b[Ka line\none\r\u001b[Ktwo\r\u001b[Klast\n');
  });

  it('is no longer than the terminal is wide: what wraps can not be written over', () => {
    const { made, written } = terminal(true, 10);
    made.status('0123456789abc');
    expect(written()).toBe('\r\u001b[K012345678');
  });

  it('is not drawn again after Ctrl-C', () => {
    const { made, written, interrupt } = terminal(true);
    made.status('building');
    interrupt();
    made.status('');
    made.status('building');
    expect(written()).toBe('\r\u001b[Kbuilding\r\u001b[K');
  });

  it('can steer nothing, and is not there where no person watches', () => {
    const watched = terminal(true);
    watched.made.status('a\u001b[2J');
    expect(watched.written()).toBe('\r\u001b[Ka\\x1b[2J');
    const program = terminal(false);
    program.made.status('one');
    program.made.say('a line');
    expect(program.written()).toBe('a line\n');
  });
});

describe('Progress', () => {
  const seeing = (...lines: [name: string, line: string][]) => {
    const progress = new Progress();
    for (const [name, line] of lines) progress.see(name, line);
    return progress;
  };

  it('is drawn from the steps of a build, and from nothing else', () => {
    expect(seeing(['f', 'Step 1/4 : FROM x']).text()).toBe(`f [${' '.repeat(24)}] step 1 of 4`);
    expect(seeing(['f', 'Step 3/4 : RUN x']).text()).toBe(`f [${'='.repeat(12)}${' '.repeat(12)}] step 3 of 4`);
    expect(seeing(['f', 'Step 9/4 : RUN x']).text()).toContain(`[${'='.repeat(24)}] step 9 of 4`);
    expect(new Progress().see('f', 'building')).toBe(false);
    expect(new Progress().text()).toBe('');
  });

  it('names each of several builds, and those no more that have ended', () => {
    const progress = seeing(['a', 'Step 1/4 : FROM x'], ['b', 'Step 2/3 : RUN x']);
    expect(progress.text()).toBe('a 1/4  b 2/3');
    progress.end('a');
    expect(progress.text()).toMatch(/^b \[=+ +\] step 2 of 3$/);
  });
});
