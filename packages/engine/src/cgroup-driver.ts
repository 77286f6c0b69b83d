import type Dockerode from 'dockerode';

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
