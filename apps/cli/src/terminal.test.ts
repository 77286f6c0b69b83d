import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { progressBar } from './output/progress-bar.js';
import { Terminal } from './terminal.js';

function terminal(isTTY: boolean) {
  const stderr = Object.assign(new PassThrough(), { isTTY });
  const { signal } = new AbortController();
  const made = new Terminal({ stdin: new PassThrough(), stdout: new PassThrough(), stderr, interrupted: signal, insisted: signal });
  return { made, written: () => String(stderr.read() ?? '') };
}

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

describe('progressBar', () => {
  it('is drawn from the steps of a build, and from nothing else', () => {
    expect(progressBar('f', 'Step 1/4 : FROM x')).toBe(`f [${' '.repeat(24)}] step 1 of 4`);
    expect(progressBar('f', 'Step 3/4 : RUN x')).toBe(`f [${'='.repeat(12)}${' '.repeat(12)}] step 3 of 4`);
    expect(progressBar('f', 'Step 9/4 : RUN x')).toContain(`[${'='.repeat(24)}] step 9 of 4`);
    expect(progressBar('f', 'building')).toBeUndefined();
  });
});
