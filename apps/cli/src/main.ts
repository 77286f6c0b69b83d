#!/usr/bin/env node
import { run } from './run.js';

const interrupted = new AbortController();
const insisted = new AbortController();
// Terminals signal every process in the foreground and npm passes the same signal on once more: that is one Ctrl-C.
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
// A closed terminal must not bring `kiln up` down before it has ended its children.
process.stderr.on('error', () => {});

const code = await run(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  interrupted: interrupted.signal,
  insisted: insisted.signal,
});
process.exitCode = code;
// Left in the middle of something: what is still open must not keep the process.
if (interrupted.signal.aborted || process.stdout.errored) process.exit();
