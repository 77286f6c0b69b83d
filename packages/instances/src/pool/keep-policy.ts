/**
 * What idle instances are kept for. `wanted`: traffic, or perhaps its first. `previous`: it had the traffic just before, a rollback finds it
 * warm, and it is the first to make room. `retired`: nothing, so they don't wait for their idle time.
 */
export type KeepPolicy = 'wanted' | 'previous' | 'retired';
