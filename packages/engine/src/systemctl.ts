import { execFile } from 'node:child_process';

const COMMAND_MS = 5000;

/** Asks systemd for something. Never rejects: it may not be there, or not ours to command. */
export function systemctl(...args: string[]): Promise<void> {
  return new Promise((resolve) => {
    execFile('systemctl', ['--no-ask-password', ...args], { timeout: COMMAND_MS }, () => resolve());
  });
}
