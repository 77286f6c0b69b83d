import { lookup } from 'node:dns/promises';
import { isIPv4 } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Gate } from '@kiln/instances/room/gate';

/** A lookup at a silent name server takes many seconds. */
const WAIT_MS = 1000;
/** Lookups at a time: each takes one of the few threads that Node also uses for files. */
const AT_ONCE = 2;

type Lookup = (host: string) => Promise<readonly string[]>;

/** IPv4 addresses of the nodes and the store, closed to functions. A name that does not resolve keeps its last addresses. */
export class ProtectedAddresses {
  private readonly resolved = new Map<string, readonly string[]>();
  private readonly asking = new Map<string, Promise<void>>();
  private readonly gate = new Gate(AT_ONCE);

  constructor(
    private readonly ask: Lookup = lookupIpv4,
    private readonly waitMs = WAIT_MS,
  ) {}

  /** The addresses that are resolved within a bound. Never rejects. */
  async of(urls: readonly string[]): Promise<string[]> {
    const hosts = new Set(urls.map(hostOf).filter((host) => host !== '' && host !== 'localhost' && !host.startsWith('127.')));
    const names = [...hosts].filter((host) => !isIPv4(host));
    for (const host of this.resolved.keys()) if (!hosts.has(host)) this.resolved.delete(host);
    const settled = new AbortController();
    const late = delay(this.waitMs, undefined, { signal: settled.signal }).catch(() => undefined);
    await Promise.race([Promise.all(names.map((host) => this.refresh(host))), late]);
    settled.abort();
    return [...hosts].flatMap((host) => (isIPv4(host) ? [host] : (this.resolved.get(host) ?? [])));
  }

  /** One lookup for each name at a time, however long it takes. */
  private refresh(host: string): Promise<void> {
    const asking = this.asking.get(host) ?? this.askFor(host).finally(() => this.asking.delete(host));
    this.asking.set(host, asking);
    return asking;
  }

  private async askFor(host: string): Promise<void> {
    const leave = await this.gate.enter();
    try {
      const found = await this.ask(host);
      if (found.length > 0) this.resolved.set(host, found);
    } catch {
      // The last result stays valid.
    } finally {
      leave();
    }
  }
}

async function lookupIpv4(host: string): Promise<string[]> {
  return (await lookup(host, { all: true, family: 4 })).map(({ address }) => address);
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).hostname : '';
}
