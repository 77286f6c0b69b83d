import { systemctl } from '@kiln/engine/systemctl';

/** Requests to systemd. None of them rejects: the machine may have no systemd, or this process may not use it. */
export interface Systemd {
  /** Limits the processes and threads of a slice, which need not exist yet. */
  limitTasks(slice: string, tasks: number): Promise<void>;
  /** Removes a slice in which nothing runs, and its settings. */
  end(slice: string): Promise<void>;
}

export const systemd: Systemd = {
  limitTasks: (slice, tasks) => systemctl('set-property', '--runtime', slice, `TasksMax=${tasks}`),
  end: async (slice) => {
    await systemctl('stop', slice);
    await systemctl('revert', slice);
  },
};
