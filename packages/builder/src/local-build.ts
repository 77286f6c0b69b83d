import type { BuiltImage } from '@kiln/contract/api/control-api';
import Dockerode from 'dockerode';
import { type BuildRequest, build } from './build.js';

export interface LocalBuild extends Pick<BuildRequest, 'source' | 'functionName' | 'buildArgs' | 'secrets' | 'onLine' | 'signal'> {
  /** `unix:///…`, `tcp://…` or `http://…` */
  dockerHost: string;
}

/** The same build on an engine of one's own, without a node: its image stays there. @throws KilnError */
export async function buildLocally({ dockerHost, ...request }: LocalBuild): Promise<BuiltImage> {
  return await build({ ...request, docker: connect(dockerHost) });
}

function connect(dockerHost: string): Dockerode {
  if (dockerHost.startsWith('unix://')) return new Dockerode({ socketPath: dockerHost.slice('unix://'.length) });
  const { hostname, port } = new URL(dockerHost.replace(/^tcp:/, 'http:'));
  return new Dockerode({ host: hostname, port: Number(port || 2375), protocol: 'http' });
}
