import type Dockerode from 'dockerode';

/** The TCP port that an image exposes, by itself or its base; undefined for none, and for several: nothing says which is meant. */
export function onlyExposed({ Config }: Pick<Dockerode.ImageInspectInfo, 'Config'>): number | undefined {
  const exposed: Record<string, unknown> = Config.ExposedPorts ?? {};
  const ports = Object.keys(exposed).flatMap((name) => /^(\d{1,5})(?:\/tcp)?$/.exec(name)?.[1] ?? []);
  const port = ports.length === 1 ? Number(ports[0]) : 0;
  return port > 0 && port <= 65_535 ? port : undefined;
}
