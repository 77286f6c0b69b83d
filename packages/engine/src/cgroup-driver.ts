import type Dockerode from 'dockerode';

const INFO_MS = 15_000;

/** Whether systemd manages the engine's control groups. Rejects where the engine does not respond within 15 s. */
export async function hasSystemd(docker: Dockerode): Promise<boolean> {
  // The declared types lack the options, which every call takes.
  const info = docker.info.bind(docker) as (options: { abortSignal: AbortSignal }) => Promise<{ CgroupDriver?: string }>;
  return (await info({ abortSignal: AbortSignal.timeout(INFO_MS) })).CgroupDriver === 'systemd';
}

/** Whether the name of a control group is that of a systemd slice. */
export function isSlice(group: string): boolean {
  return group.endsWith('.slice');
}
