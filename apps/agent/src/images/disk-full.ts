import { KilnError } from '@kiln/contract/errors';

/**
 * The engine passes on what the kernel said; only the words tell it from other failures. In the first line alone: those that follow
 * are what a step of a build printed, which may have filled a small folder of its own.
 */
export function isDiskFull(error: unknown): boolean {
  const [first = ''] = ((error as Error | undefined)?.message ?? '').split('\n');
  return /no space left on device|no disk space left|ENOSPC|disk quota exceeded/i.test(first);
}

/** Another node may have room, and so may this one when something was removed: nothing is wrong with the version. */
export function diskFull(what: string, cause: unknown): KilnError {
  return new KilnError('no_capacity', `${what}: the disk of this node is full (${(cause as Error).message.trim()})`, {
    cause,
    fix: 'free some of it (docker system df shows what takes it), or lower KILN_IMAGES_HIGH so that Kiln begins earlier',
  });
}
