import { KilnError } from '@kiln/contract/errors';
import type { Exit } from '../port/container-driver.js';
import { describeExit, OUT_OF_MEMORY_FIX, ranOutOfMemory, withLastLines } from '../port/exit.js';

/** What is known of a failed start beyond its exit code. */
interface Reason {
  why: string;
  fix: string;
}

interface Rule {
  /** In a line that it wrote last. */
  sign: RegExp;
  /** Only with this exit code: the words alone may be the program's own. */
  code?: number;
  /** @param name what the sign names */
  reason(name: string): Reason;
}

/** What an image's platform is called where images are built. */
const PLATFORM = `linux/${process.arch === 'x64' ? 'amd64' : process.arch}`;

const WINDOWS_LINES: Reason = {
  why: 'its script has the line ends of Windows, and the carriage return counts as a part of each word before it',
  fix: 'save the script with line ends of Unix (sed -i \'s/\\r$//\'), and keep them so: "*.sh text eol=lf" in .gitattributes',
};

const noFile = (name: string): Reason => ({
  why: `${name} cannot be run: the image has no such file, or not the program that its first line (#!) or its format asks for`,
  fix: `see that ${name} is in the image; a script needs line ends of Unix (sed -i 's/\\r$//'), and the program that its first line names has to be in the image; a binary needs the C library that it was built with`,
});

const notInImage = (name: string): Reason => ({
  why: `the image has no program "${name}"`,
  fix: `install "${name}" in the image, or start another program`,
});

const notAllowed = (name: string): Reason => ({
  why: `${name} may not be run: permission denied`,
  fix: `let everybody run it, for it runs as user 65532: chmod 755 ${name}, before the deployment or with RUN in the Dockerfile`,
});

const wrongFormat = (name: string): Reason => ({
  why: `${name} is not in a format that this node can run: it was built for another processor or system, or is a script without a first line (#!)`,
  fix: `build it for ${PLATFORM} (docker build --platform ${PLATFORM}); a script begins with #!/bin/sh`,
});

const noLibrary = (name: string): Reason => ({
  why: `the shared library ${name} is not in the image`,
  fix: `install the package that has ${name} in the last stage of the Dockerfile`,
});

const oldLibrary = (name: string): Reason => ({
  why: `the program was built with a newer C library than the image has: it wants ${name}`,
  fix: 'build and run on the same base image, or build without the C library (static)',
});

/** The first that fits says it. The init process, shells and the loaders of the C libraries have words of their own. */
const RULES: readonly Rule[] = [
  { sign: /(\\r|\r)['’]?: (?:command )?(?:no such file|not found)/i, reason: () => WINDOWS_LINES },
  { sign: /\bexec (\S+) failed: no such file/i, reason: noFile },
  { sign: /\bexec (\S+) failed: permission denied/i, reason: notAllowed },
  { sign: /(?:^|\s)(\S+): (?:cannot execute[^:]*: )?exec format error/i, reason: wrongFormat },
  { sign: /\bexec (\S+?):? (?:failed: )?exec format error/i, reason: wrongFormat },
  // The init process gives a file of an unknown format to the shell.
  { sign: /^(\S+): (?:line )?\d+: .*\bELF/, reason: wrongFormat },
  { sign: /error (?:while )?loading shared librar(?:ies|y):? ([^\s:]+):/i, reason: noLibrary },
  { sign: /version [`'‘]((?:GLIBC|GLIBCXX|CXXABI)_[\d.]+)['’] not found/, reason: oldLibrary },
  { sign: /(?:^|\s)([^\s:]+): permission denied/i, code: 126, reason: notAllowed },
  { sign: /(?:^|\s)([^\s:]+): (?:command )?not found/i, code: 127, reason: notInImage },
  { sign: /(?:^|\s)['‘]?([^\s:'‘’]+)['’]?: no such file/i, code: 127, reason: noFile },
];

/** The program has ended before it was ready: how, why where that is known, and what to do. */
export function failedStart(exit: Exit, lastLines: readonly string[], memory: number): KilnError {
  const how = `before it was ready ${describeExit(exit, lastLines, memory)}`;
  const reason = ranOutOfMemory(exit, lastLines) ? undefined : reasonOf(exit.code, lastLines);
  const detail = reason === undefined ? how : `${how}: ${reason.why}`;
  const fix = ranOutOfMemory(exit, lastLines) ? OUT_OF_MEMORY_FIX : (reason?.fix ?? 'kiln logs shows all it wrote');
  return new KilnError('start_failed', withLastLines(detail, lastLines), { fix });
}

function reasonOf(exitCode: number, lastLines: readonly string[]): Reason | undefined {
  if (exitCode === 0) return undefined;
  for (const { sign, code, reason } of RULES) {
    if (code !== undefined && code !== exitCode) continue;
    const found = lastLines.map((line) => sign.exec(line)).find((match) => match !== null);
    if (found?.[1] !== undefined) return reason(found[1]);
  }
  return undefined;
}
