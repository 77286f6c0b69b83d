import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { readConfig } from '../../config.js';
import { Terminal } from '../../output/terminal.js';
import { GithubLog } from './github.js';

describe('GithubLog', () => {
  it('shows the groups of builds that go on beside each other one after the other', async () => {
    const written = Object.assign(new PassThrough(), { isTTY: false });
    const { signal } = new AbortController();
    const terminal = new Terminal({
      stdin: new PassThrough(),
      stdout: new PassThrough(),
      stderr: written,
      interrupted: signal,
      insisted: signal,
    });
    const log = new GithubLog(readConfig({}), terminal);
    log.begin('a');
    log.begin('b');
    log.say('b1', 'b');
    log.say('a1', 'a');
    expect(String(written.read())).toBe('::group::a\na1\n');
    log.end({ function: 'b', removed: true });
    log.begin('c');
    log.say('::c1', 'c');
    log.end({ function: 'a', error: { code: 'failed', message: 'broke', fix: 'mend it', exitCode: 1 } });
    expect(String(written.read())).toBe(
      '::endgroup::\n::error title=a was not deployed::broke%0Amend it\n::group::b\nb1\n::endgroup::\n::group::c\n| ::c1\n',
    );
  });
});
