import Dockerode from 'dockerode';

/** At `unix:///…`, `tcp://…` or `http://…`. With `timeoutMs`, a request fails after that time without a byte. @throws Error for another */
export function connectEngine(dockerHost: string, { timeoutMs }: { timeoutMs?: number } = {}): Dockerode {
  const { protocol, pathname, hostname, port } = new URL(dockerHost);
  const options = timeoutMs === undefined ? {} : { timeout: timeoutMs };
  if (protocol === 'unix:') return new Dockerode({ socketPath: pathname, ...options });
  if (protocol !== 'tcp:' && protocol !== 'http:') throw new Error(`${dockerHost} is neither unix:// nor tcp://`);
  return new Dockerode({ host: hostname, port: Number(port || 2375), protocol: 'http', ...options });
}
