import type { BuiltImage } from '@kiln/contract/api/control-api';
import { connectEngine } from '@kiln/engine/connect-engine';
import { type BuildRequest, build } from './build.js';

export interface LocalBuild extends Pick<BuildRequest, 'source' | 'functionName' | 'buildArgs' | 'secrets' | 'onLine' | 'signal'> {
  /** `unix:///…`, `tcp://…` or `http://…` */
  dockerHost: string;
}

/** Builds on an engine without a node; the image stays on that engine. @throws KilnError */
export async function buildLocally({ dockerHost, ...request }: LocalBuild): Promise<BuiltImage> {
  return await build({ ...request, docker: connectEngine(dockerHost) });
}
