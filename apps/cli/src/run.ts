import { ownEnvironment, readConfig } from './config.js';
import { EXIT, Interrupted } from './failure.js';
import { asksForJson, report } from './output/report.js';
import { type Streams, Terminal } from './output/terminal.js';
import { createProgram } from './program.js';

/** One run of the command line, from arguments to exit code. Every error ends here. */
export async function run(argv: readonly string[], streams: Streams, environment = ownEnvironment()): Promise<number> {
  const terminal = new Terminal(streams, environment);
  try {
    const session = { config: readConfig(environment), terminal };
    await Promise.race([
      createProgram(session).parseAsync(argv, { from: 'user' }),
      interruption(terminal),
      insistence(terminal),
      nobodyReads(terminal),
    ]);
    return EXIT.ok;
  } catch (error) {
    return report(error, terminal, asksForJson(argv));
  }
}

function interruption(terminal: Terminal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const interrupt = () => {
      if (!terminal.endsItself) reject(new Interrupted());
    };
    terminal.interrupted.addEventListener('abort', interrupt, { once: true });
  });
}

/** Whoever presses Ctrl-C again does not wait for an orderly end; `kiln up` has its own. */
function insistence(terminal: Terminal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const interrupt = () => {
      if (!terminal.endsItself || terminal.mayBeLeft) reject(new Interrupted());
    };
    terminal.insisted.addEventListener('abort', interrupt, { once: true });
  });
}

/** `kiln logs -f hello | head` is done when head is. */
function nobodyReads(terminal: Terminal): Promise<void> {
  return new Promise((resolve) => {
    terminal.streams.stdout.on('error', () => {
      if (!terminal.endsItself) resolve();
    });
  });
}
