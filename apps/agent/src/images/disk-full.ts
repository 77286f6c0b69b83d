import { KilnError } from '@kiln/contract/errors';

/**
 * The engine passes the kernel's message on, and only its words differ from other failures. Reads the first line alone: the next lines
 * are the output of a build step, which may have filled a small folder of its own.
 */
export function isDiskFull(error: unknown): boolean {
  const [first = ''] = ((error as Error | undefined)?.message ?? '').split('\n');
  return /no space left on device|no disk space left|ENOSPC|disk quota exceeded/i.test(first);
}

/** No fault of the version: another node may have room, or this one later. */
export function diskFull(what: string, cause: unknown): KilnError {
  return new KilnError('no_capacity', `${what}: the disk of this node is full (${(cause as Error).message.trim()})`, {
    cause,
    fix: 'free some of it (docker system df shows what takes it), or lower KILN_IMAGES_HIGH so that Kiln begins earlier',
  });
}
