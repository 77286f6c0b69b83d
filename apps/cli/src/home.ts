import { join } from 'node:path';

/** Paths of all files and folders under KILN_HOME. */
export function homePaths(home: string) {
  return {
    home,
    credentials: join(home, 'credentials.json'),
    cluster: join(home, 'cluster.json'),
    masterKey: join(home, 'master.key'),
    masterKeyPrevious: join(home, 'master.key.previous'),
    running: join(home, 'up.json'),
    logs: join(home, 'logs'),
    registries: join(home, 'registries.json'),
    redis: join(home, 'redis'),
  };
}
export type HomePaths = ReturnType<typeof homePaths>;
