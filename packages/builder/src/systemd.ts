import { execFile } from 'node:child_process';
import type Dockerode from 'dockerode';

const COMMAND_MS = 5000;
const INFO_MS = 15_000;

/** Whether the engine has systemd keep its control groups. Rejects where it does not answer within 15 s. */
export async function hasSystemd(docker: Dockerode): Promise<boolean> {
  // The declared types leave out what every call takes.
  const info = docker.info.bind(docker) as (options: { abortSignal: AbortSignal }) => Promise<{ CgroupDriver?: string }>;
  return (await info({ abortSignal: AbortSignal.timeout(INFO_MS) })).CgroupDriver === 'systemd';
}

/** Whether a control group, as the engine takes it, is one of systemd's. */
export function isSlice(group: string): boolean {
  return group.endsWith('.slice');
}

/** What is asked of systemd. Nothing rejects: it may not be there, or not ours to command. */
export interface Systemd {
  /** A slice, there already or not, may have so many processes and threads. */
  limitTasks(slice: string, tasks: number): Promise<void>;
  /** Lets go of a slice in which nothing runs, and of what it was told of it. */
  end(slice: string): Promise<void>;
}

export const systemd: Systemd = {
  limitTasks: (slice, tasks) => systemctl('set-property', '--runtime', slice, `TasksMax=${tasks}`),
  end: async (slice) => {
    await systemctl('stop', slice);
    await systemctl('revert', slice);
  },
};

function systemctl(...args: string[]): Promise<void> {
  return new Promise((resolve) => {
    execFile('systemctl', ['--no-ask-password', ...args], { timeout: COMMAND_MS }, () => resolve());
  });
}
