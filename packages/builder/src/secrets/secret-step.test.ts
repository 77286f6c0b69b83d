import { describe, expect, it } from 'vitest';
import { secretRun } from './secret-mounts.js';
import { nextSecretStep } from './secret-step.js';

const MOUNT = { id: 'a', target: '/run/secrets/a', required: false, uid: 0, gid: 0, mode: '0400' };

describe('secretRun', () => {
  it('reads what a step asks for, in the words of a Dockerfile', () => {
    expect(secretRun('--mount=type=secret,id=a npm ci && true')).toEqual({ mounts: [MOUNT], command: 'npm ci && true' });
    expect(secretRun('--mount=id=b,dst=/root/.npmrc,type=secret,required,uid=1000,mode=0440 ["x", "y z"]')).toEqual({
      mounts: [{ id: 'b', target: '/root/.npmrc', required: true, uid: 1000, gid: 0, mode: '0440' }],
      command: ['x', 'y z'],
    });
    expect(secretRun('--mount=type=secret,target=/etc/a cat')?.mounts[0]).toMatchObject({ id: 'a', target: '/etc/a' });
  });

  it('leaves other steps to the engine', () => {
    expect(secretRun('echo --mount=type=secret,id=a')).toBeUndefined();
    expect(secretRun('--mount=type=cache,target=/x npm ci')).toBeUndefined();
  });

  it.each([
    ['--mount=type=secret,id=a,target=../x cat', /absolute path/],
    ['--mount=type=secret,id=a,target=/a/../b cat', /absolute path/],
    ['--mount=type=secret,id=a,target=/a;reboot cat', /absolute path/],
    ['--mount=type=secret,id=$A cat', /variables/],
    ['--mount=type=secret,id=a,env=A cat', /env is not known/],
    ['--mount=type=secret,id=a,mode=9 cat', /octal/],
    ['--mount=type=secret cat', /id must be/],
    ['--mount=type=secret,id=a --network=host cat', /--network=host beside a secret/],
    ['--mount=type=secret,id=a --mount=type=secret,id=a cat', /two secrets for/],
  ])('refuses %s', (rest, message) => {
    expect(() => secretRun(rest)).toThrow(message);
  });
});

describe('nextSecretStep', () => {
  const FILE = `# syntax=docker/dockerfile:1
ARG BASE=debian
FROM $BASE AS one
ARG A=1 B
RUN true
RUN --mount=type=secret,id=a \\
    # why
    cat /run/secrets/a
FROM scratch
COPY --from=one /x /x
`;

  it('cuts the file at the step, and puts it together again on the image that it gave', () => {
    const step = nextSecretStep(FILE, '7');
    expect(step).toMatchObject({ title: expect.stringMatching(/^Step 5\/7 : RUN --mount/), command: 'cat /run/secrets/a' });
    expect(step?.above).toMatch(/RUN true\nLABEL kiln\.build\.step=7 kiln\.build\.arg\.A="\$\{A\}" kiln\.build\.arg\.B="\$\{B\}"\n$/);
    expect(step?.rest('sha256:1', ['RUN x'])).toBe(
      '# syntax=docker/dockerfile:1\nARG BASE=debian\nFROM sha256:1 AS one\nARG A=1 B\nONBUILD RUN x\nFROM scratch\nCOPY --from=one /x /x\n',
    );
    expect(nextSecretStep(step?.rest('sha256:1', []) ?? '', '7')).toBeUndefined();
  });

  it('reads a file whose lines go on by another character', () => {
    expect(nextSecretStep('# escape=`\nFROM a\nRUN --mount=type=secret,id=a `\n  x', '7')?.command).toBe('x');
  });
});
