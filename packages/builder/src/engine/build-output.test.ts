import { describe, expect, it } from 'vitest';
import { BuildOutput } from './build-output.js';

describe('BuildOutput', () => {
  it('tells of a failed step what that step wrote, and the command once', () => {
    const output = new BuildOutput(() => undefined);
    output.add('Step 1/2 : RUN npm ci\nadded 2 packages\nStep 2/2 : RUN ["esbuild","./index.ts"]\n✘ [ERROR] Expected "}" but found ";"\n');
    const { message } = output.failure("The command 'esbuild ./index.ts' returned a non-zero code: 1");
    expect(message).toBe(
      'build failed at Step 2/2 "RUN ["esbuild","./index.ts"]": The command returned a non-zero code: 1\n✘ [ERROR] Expected "}" but found ";"',
    );
  });

  it('cuts a step that fills the screen', () => {
    const output = new BuildOutput(() => undefined);
    output.add(`Step 1/1 : RUN ${'x'.repeat(3000)}\n`);
    expect(output.failure('no').message.length).toBeLessThan(300);
  });
});
