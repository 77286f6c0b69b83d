import { lookup } from 'node:dns/promises';
import { isIPv4 } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Gate } from '@kiln/instances/room/gate';

/** A name server that does not answer holds a question for many seconds. */
const WAIT_MS = 1000;
/** Questions at once: each takes one of the few threads that files and sockets are looked up by, too. */
const AT_ONCE = 2;

type Lookup = (host: string) => Promise<readonly string[]>;

/**
 * IPv4 addresses that no function may reach: those of the nodes and of the store. Of a name that does not resolve at the moment they
 * are those that it had.
 */
export class ProtectedAddresses {
  private readonly known = new Map<string, readonly string[]>();
  private readonly asking = new Map<string, Promise<void>>();
  private readonly gate = new Gate(AT_ONCE);

  constructor(
    private readonly ask: Lookup = lookupIpv4,
    private readonly waitMs = WAIT_MS,
  ) {}

  /** What is known after a moment. Never rejects. */
  async of(urls: readonly string[]): Promise<string[]> {
    const hosts = new Set(urls.map(hostOf).filter((host) => host !== '' && host !== 'localhost' && !host.startsWith('127.')));
    const names = [...hosts].filter((host) => !isIPv4(host));
    for (const host of this.known.keys()) if (!hosts.has(host)) this.known.delete(host);
    const settled = new AbortController();
    const late = delay(this.waitMs, undefined, { signal: settled.signal }).catch(() => undefined);
    await Promise.race([Promise.all(names.map((host) => this.refresh(host))), late]);
    settled.abort();
    return [...hosts].flatMap((host) => (isIPv4(host) ? [host] : (this.known.get(host) ?? [])));
  }

  /** One question for each name at a time, however long it takes. */
  private refresh(host: string): Promise<void> {
    const asking = this.asking.get(host) ?? this.askFor(host).finally(() => this.asking.delete(host));
    this.asking.set(host, asking);
    return asking;
  }

  private async askFor(host: string): Promise<void> {
    const leave = await this.gate.enter();
    try {
      const found = await this.ask(host);
      if (found.length > 0) this.known.set(host, found);
    } catch {
      // What it was before goes on to hold.
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
