import { KilnError } from '@kiln/contract/errors';

/** The engine passes on what the kernel said; only the words tell it from other failures. */
export function isDiskFull(error: unknown): boolean {
  return /no space left on device|ENOSPC|disk quota exceeded/i.test((error as Error | undefined)?.message ?? '');
}

/** Another node may have room, and so may this one when something was removed: nothing is wrong with the version. */
export function diskFull(what: string, cause: unknown): KilnError {
  return new KilnError('no_capacity', `${what}: the disk of this node is full`, {
    cause,
    fix: 'free some of it (docker system df shows what takes it), or lower KILN_IMAGES_HIGH so that Kiln begins earlier',
  });
}
