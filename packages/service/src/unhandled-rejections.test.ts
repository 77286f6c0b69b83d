import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const run = promisify(execFile);
const MODULE = join(import.meta.dirname, 'unhandled-rejections.ts');

it('a fault of work that nobody awaits is logged and does not end the process', async () => {
  const script = `
    const { logUnhandledRejections } = await import(${JSON.stringify(MODULE)});
    logUnhandledRejections({ error: ({ err }, message) => console.log(message + ': ' + err.message) });
    const look = async () => { throw new Error('a fault that nobody knew of'); };
    void look();
    setTimeout(() => console.log('still here'), 50);`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script]);
  expect(stdout).toBe('background work failed; the process continues: a fault that nobody knew of\nstill here\n');
});
