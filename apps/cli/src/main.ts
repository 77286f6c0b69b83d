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
// `kiln ls | head` is no failure.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(0);
  });
}

const code = await run(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  interrupted: interrupted.signal,
  insisted: insisted.signal,
});
process.exitCode = code;
// An interrupted command leaves its connections behind; they must not keep the process.
if (interrupted.signal.aborted) process.exit();
