import http from 'node:http';

const TIMEOUT_MS = 10_000;

interface Labelled {
  Id: string;
  Labels?: Record<string, string> | null;
}

export interface Swept {
  containers: number;
  networks: number;
}

/**
 * The few questions that the command line has for a Docker engine. Containers are made and run by agents alone; what is
 * removed here is what a killed agent left behind.
 */
export class Engine {
  private readonly address: http.RequestOptions;

  /** @throws Error for an address that is neither a Unix socket nor plain TCP. */
  constructor(readonly host: string) {
    const url = new URL(host);
    if (url.protocol === 'unix:') this.address = { socketPath: url.pathname };
    else if (url.protocol === 'tcp:' || url.protocol === 'http:') this.address = { host: url.hostname, port: url.port || 2375 };
    else throw new Error(`${host} is neither unix:// nor tcp://`);
  }

  get<T>(path: string): Promise<T> {
    return this.request('GET', path) as Promise<T>;
  }

  /** Removes containers and then networks whose `kiln.node` is one of these; says how many of each. */
  async sweep(nodeIds: readonly string[]): Promise<Swept> {
    const filters = encodeURIComponent(JSON.stringify({ label: ['kiln.node'] }));
    const isOurs = ({ Labels }: Labelled) => nodeIds.includes(Labels?.['kiln.node'] ?? '');
    const swept = { containers: 0, networks: 0 };
    const containers = await this.get<Labelled[]>(`/containers/json?all=true&filters=${filters}`);
    for (const { Id } of containers.filter(isOurs)) swept.containers += await this.remove(`/containers/${Id}?force=true&v=true`);
    const networks = await this.get<Labelled[]>(`/networks?filters=${filters}`);
    for (const { Id } of networks.filter(isOurs)) swept.networks += await this.remove(`/networks/${Id}`);
    return swept;
  }

  private async remove(path: string): Promise<number> {
    const answer = await this.request('DELETE', path, [404, 409]);
    return answer === undefined ? 0 : 1;
  }

  private request(method: string, path: string, gone: readonly number[] = []): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const request = http.request({ ...this.address, method, path, agent: false, headers: { Host: 'docker' } }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('error', reject);
        response.once('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          const status = response.statusCode ?? 0;
          if (gone.includes(status)) resolve(undefined);
          else if (status >= 400) reject(new Error(`the engine answered ${status} to ${method} ${path}: ${text.slice(0, 500)}`));
          else resolve(text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : text);
        });
      });
      request.setTimeout(TIMEOUT_MS, () => request.destroy(new Error(`the engine at ${this.host} did not answer within ${TIMEOUT_MS} ms`)));
      request.once('error', reject);
      request.end();
    });
  }
}

export interface EngineVersion {
  Version: string;
  ApiVersion: string;
  Components?: { Name: string; Version: string; Details?: Record<string, string> }[];
}

export interface LocalEngineInfo {
  CgroupVersion?: string;
  CgroupDriver?: string;
  SecurityOptions?: string[];
  MemoryLimit?: boolean;
  SwapLimit?: boolean;
  PidsLimit?: boolean;
  CpuCfsQuota?: boolean;
  DockerRootDir?: string;
}
