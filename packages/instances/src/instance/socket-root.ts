import { chmod, mkdir, rm } from 'node:fs/promises';
import type net from 'node:net';
import { join } from 'node:path';

/** A Unix socket's path ends at 107 bytes. */
const MAX_PATH = 100;
const INSTANCE_ID_LENGTH = 12;
/** In the folder of each instance; runners know these names. */
export const SOCKET_NAME = 'agent.sock';
export const WORK_SOCKET_NAME = 'work.sock';
/** Who reaches an instance's socket gets the next request, keys and all. A container's mount does not pass through here. */
export const SOCKET_ROOT_MODE = 0o700;

/** The folder of a node's sockets: under the home where paths stay short enough, else under /run. */
export function socketRoot(home: string, node: string): string {
  const root = join(home, 'run', node);
  const longest = Buffer.byteLength(root) + 1 + INSTANCE_ID_LENGTH + 1 + SOCKET_NAME.length;
  return longest <= MAX_PATH ? root : join('/run/kiln', node);
}

/** Makes that folder, and closes one that is there to all other users of the machine. */
export async function openSocketRoot(root: string): Promise<void> {
  await mkdir(root, { recursive: true, mode: SOCKET_ROOT_MODE });
  await chmod(root, SOCKET_ROOT_MODE);
}

/** Listens at a path in an instance's folder, in place of what may have been left there. */
export async function listenAt(server: net.Server, path: string): Promise<void> {
  await rm(path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  // The instance's user is not ours. On this machine the folders above keep all others out; the container sees only this one.
  await chmod(path, 0o666);
}
