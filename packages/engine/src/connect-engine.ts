import Dockerode from 'dockerode';

/** A client of the engine at `unix:///…`, `tcp://…` or `http://…`. */
export function connectEngine(dockerHost: string): Dockerode {
  if (dockerHost.startsWith('unix://')) return new Dockerode({ socketPath: dockerHost.slice('unix://'.length) });
  const { hostname, port } = new URL(dockerHost.replace(/^tcp:/, 'http:'));
  return new Dockerode({ host: hostname, port: Number(port || 2375), protocol: 'http' });
}
