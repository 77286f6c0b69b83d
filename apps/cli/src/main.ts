#!/usr/bin/env node
import { run } from './run.js';

const interrupted = new AbortController();
const insisted = new AbortController();
// One Ctrl-C may arrive twice: the terminal signals every process in the foreground, and npm forwards the same signal.
const SAME_SIGNAL_MS = 500;
let firstAt = 0;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (!interrupted.signal.aborted) {
      firstAt = performance.now();
      interrupted.abort(signal);
    } else if (performance.now() - firstAt > SAME_SIGNAL_MS) insisted.abort(signal);
  });
}
// When the terminal closes, `kiln up` must still end its children.
process.stderr.on('error', () => {});

const code = await run(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  interrupted: interrupted.signal,
  insisted: insisted.signal,
});
process.exitCode = code;
// After an interruption, open handles must not keep the process alive.
if (interrupted.signal.aborted || process.stdout.errored) process.exit();
