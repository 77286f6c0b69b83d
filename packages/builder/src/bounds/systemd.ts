import { systemctl } from '@kiln/engine/systemctl';

/** Requests to systemd. None of them rejects: the machine may have no systemd, or this process may not use it. */
export const systemd = {
  /** Limits the processes and threads of a slice, which need not exist yet. */
  limitTasks: (slice: string, tasks: number): Promise<void> => systemctl('set-property', '--runtime', slice, `TasksMax=${tasks}`),
  /** Removes a slice in which nothing runs, and its settings. */
  end: async (slice: string): Promise<void> => {
    await systemctl('stop', slice);
    await systemctl('revert', slice);
  },
};
