import { execFile } from 'node:child_process';

const COMMAND_MS = 5000;

/** Runs systemctl. Never rejects: the machine may have no systemd, or this process may not use it. */
export function systemctl(...args: string[]): Promise<void> {
  return new Promise((resolve) => {
    execFile('systemctl', ['--no-ask-password', ...args], { timeout: COMMAND_MS }, () => resolve());
  });
}
