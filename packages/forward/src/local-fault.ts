/** What this process or this machine has run out of: it says nothing about the other side of a connection. */
const LOCAL: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EADDRNOTAVAIL', 'EAGAIN']);

export function isLocalFault(error: NodeJS.ErrnoException): boolean {
  return error.code !== undefined && LOCAL.has(error.code);
}
