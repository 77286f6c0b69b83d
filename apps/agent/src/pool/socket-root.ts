import { join } from 'node:path';
import { SOCKET_NAME } from './dial-in.js';

/** A Unix socket's path ends at 107 bytes. */
const MAX_PATH = 100;
const INSTANCE_ID_LENGTH = 12;

/** The folder of a node's sockets: under the home where paths stay short enough, else under /run. */
export function socketRoot(home: string, node: string): string {
  const root = join(home, 'run', node);
  const longest = Buffer.byteLength(root) + 1 + INSTANCE_ID_LENGTH + 1 + SOCKET_NAME.length;
  return longest <= MAX_PATH ? root : join('/run/kiln', node);
}
