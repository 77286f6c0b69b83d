import { systemctl } from '@kiln/engine/systemctl';

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
