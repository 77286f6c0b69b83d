import { Failure, UsageFailure } from './failure.js';
import type { Terminal } from './output/terminal.js';

export interface ConfirmOptions {
  yes?: boolean;
}

/** Asks before a removal. @throws Failure when the user says no, UsageFailure when there is no terminal and no `--yes` */
export async function confirm(terminal: Terminal, { yes }: ConfirmOptions, what: string, command: string): Promise<void> {
  if (yes) return;
  if (!terminal.canAsk)
    throw new UsageFailure(`removing ${what} needs a confirmation, and there is no terminal to ask on`, `${command} --yes`);
  const answer = await terminal.ask(`Remove ${what}? [y/N] `);
  if (!/^y(es)?$/i.test(answer)) throw new Failure(`${what} was not removed`, `answer y, or: ${command} --yes`);
}
