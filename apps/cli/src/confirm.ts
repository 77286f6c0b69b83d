import { Failure, UsageFailure } from './failure.js';
import type { Terminal } from './output/terminal.js';

export interface ConfirmOptions {
  yes?: boolean;
}

/**
 * Asks on a terminal before something is removed; elsewhere `--yes` has to be given.
 * @throws Failure or UsageFailure where there is no yes.
 */
export async function confirm(
  terminal: Terminal,
  options: ConfirmOptions,
  { what, command }: { what: string; command: string },
): Promise<void> {
  if (options.yes) return;
  if (!terminal.canAsk) throw new UsageFailure(`to remove ${what} needs a yes, and there is no terminal to ask on`, `${command} --yes`);
  const answer = await terminal.ask(`Remove ${what}? [y/N] `);
  if (!/^y(es)?$/i.test(answer)) throw new Failure(`${what} was not removed`, `answer y, or: ${command} --yes`);
}
