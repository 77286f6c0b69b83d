import type { RedisOptions } from 'ioredis';

/** The place and credentials that a `redis://`, `rediss://` or `unix://` URL names, for any client of the same library. */
export type ConnectionOptions = Pick<RedisOptions, 'host' | 'port' | 'path' | 'username' | 'password' | 'db' | 'tls'>;

/** @throws TypeError when it is not a URL. */
export function connectionOptions(url: string): ConnectionOptions {
  const parsed = new URL(url);
  if (parsed.protocol === 'unix:') {
    return { path: decodeURIComponent(parsed.pathname), db: Number(parsed.searchParams.get('db') ?? 0) };
  }
  return {
    host: parsed.hostname.replace(/^\[|\]$/g, '') || '127.0.0.1',
    port: Number(parsed.port || 6379),
    db: Number(parsed.pathname.slice(1) || 0),
    ...(parsed.username !== '' && { username: decodeURIComponent(parsed.username) }),
    ...(parsed.password !== '' && { password: decodeURIComponent(parsed.password) }),
    ...(parsed.protocol === 'rediss:' && { tls: {} }),
  };
}
