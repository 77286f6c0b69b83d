import { describe, expect, it } from 'vitest';
import { failedStart } from './failed-start.js';

function told(code: number, ...lines: string[]): string {
  const { message, fix } = failedStart({ code, outOfMemory: false }, lines, 128);
  return `${message.split('; its last log lines')[0]} / ${fix}`;
}

describe('a program that cannot be run', () => {
  it('is named, with the line ends of its first line as one of the reasons, where its file seems not to be there', () => {
    const text = told(127, '[FATAL tini (7)] exec /app/entrypoint.sh failed: No such file or directory');
    expect(text).toMatch(/exited with code 127: \/app\/entrypoint\.sh cannot be run/);
    expect(text).toMatch(/ \/ .*line ends of Unix.*first line/);
  });

  it('is told to have the line ends of Windows where its interpreter’s name ends with a carriage return', () => {
    for (const line of [
      "/usr/bin/env: 'node\\r': No such file or directory",
      "run.sh: line 2: $'\\r': command not found",
      'run.sh: 2: npm\r: not found',
    ])
      expect(told(127, line)).toMatch(/line ends of Windows.* \/ .*sed -i/);
  });

  it('is told to lack the permission, with the command that gives it', () => {
    for (const line of ['[FATAL tini (7)] exec /app/run.sh failed: Permission denied', 'sh: 1: exec: /app/run.sh: Permission denied'])
      expect(told(126, line)).toMatch(/\/app\/run\.sh may not be run: permission denied \/ .*chmod 755 \/app\/run\.sh/);
  });

  it('is told to be of another processor, whoever found that out', () => {
    const lines = [
      'sh: 1: exec: /app/server: Exec format error',
      'bash: /app/server: cannot execute binary file: Exec format error',
      'exec /app/server: exec format error',
      '/app/server: 1: \u007fELF\u0002\u0001: not found',
    ];
    for (const line of lines)
      expect(told(126, line)).toMatch(/\/app\/server is not in a format.*another processor.* \/ build it for linux\//);
  });

  it('is told which shared library, or which version of the C library, is missing', () => {
    const glibc =
      '/app/server: error while loading shared libraries: libpq.so.5: cannot open shared object file: No such file or directory';
    const musl = 'Error loading shared library libgcc_s.so.1: No such file or directory (needed by /app/server)';
    expect(told(127, glibc)).toMatch(/shared library libpq\.so\.5 is not in the image \/ install .*libpq\.so\.5/);
    expect(told(127, musl)).toMatch(/shared library libgcc_s\.so\.1 is not/);
    expect(told(1, "/app/server: /lib/x/libc.so.6: version `GLIBC_2.38' not found (required by /app/server)")).toMatch(
      /newer C library.*GLIBC_2\.38 \/ .*same base image/,
    );
  });

  it('is told to be missing in the image where a shell did not find it', () => {
    for (const line of ['sh: 1: gunicorn: not found', 'bash: gunicorn: command not found', 'sh: 1: exec: gunicorn: not found'])
      expect(told(127, line)).toMatch(/no program "gunicorn" \/ install "gunicorn"/);
  });
});

describe('a program that ended by itself', () => {
  it('is told to raise its memory where that ran out', () => {
    const { message, fix } = failedStart({ code: 137, outOfMemory: true }, [], 128);
    expect(message).toContain('ran out of memory (limit 128 MB');
    expect(fix).toBe('raise "memory" in kiln.json');
  });

  it('is not explained by words of its own that sound alike', () => {
    const lines = ['config.json: not found', 'user: permission denied'];
    expect(told(1, ...lines)).toBe('before it was ready the process exited with code 1 / kiln logs shows all it wrote');
  });
});
