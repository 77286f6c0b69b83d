import { ownEnvironment, readConfig } from './config.js';
import { EXIT, Interrupted } from './failure.js';
import { asksForJson, report } from './output/report.js';
import { type Streams, Terminal } from './output/terminal.js';
import { createProgram } from './program.js';

/** One run of the command line, from arguments to exit code. Every error ends here. */
export async function run(argv: readonly string[], streams: Streams, environment = ownEnvironment): Promise<number> {
  const terminal = new Terminal(streams, environment);
  try {
    const session = { config: readConfig(environment), terminal };
    await Promise.race([
      createProgram(session).parseAsync(argv, { from: 'user' }),
      interruption(terminal.interrupted, () => !terminal.endsItself),
      interruption(terminal.insisted, () => !terminal.endsItself || terminal.mayBeLeft),
      nobodyReads(terminal),
    ]);
    return EXIT.ok;
  } catch (error) {
    return report(error, terminal, asksForJson(argv));
  }
}

/** Rejects at the signal, unless the command then ends in its own way. */
function interruption(signal: AbortSignal, leaves: () => boolean): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => leaves() && reject(new Interrupted()), { once: true });
  });
}

/** `kiln logs -f hello | head` ends when `head` closes the pipe. */
function nobodyReads(terminal: Terminal): Promise<void> {
  return new Promise((resolve) => {
    terminal.streams.stdout.on('error', () => {
      if (!terminal.endsItself) resolve();
    });
  });
}
