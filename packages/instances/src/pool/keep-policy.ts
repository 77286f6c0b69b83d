/**
 * What a version's idle instances are kept for. `wanted`: it has traffic, or may be about to get its first. `previous`: it had the
 * traffic just before, and a rollback finds it warm; its idle instances are the first to make room. `retired`: nothing, so idle
 * instances don't wait for their idle time.
 */
export type KeepPolicy = 'wanted' | 'previous' | 'retired';
