import { BlockList, isIPv6, type Socket } from 'node:net';

/** Who is at the other end of a connection. */
export interface Peer {
  address: string;
  /** A proxy whose X-Forwarded-* and Forwarded are believed. */
  trusted: boolean;
}

// On the socket itself: a WeakMap keeps dead sockets alive until the collector looks at old objects.
const PEER = Symbol('peer');

/** The last address of an `X-Forwarded-For`: the one that the nearest proxy saw. */
export function lastOf(forwardedFor: string | undefined): string | undefined {
  return forwardedFor?.slice(forwardedFor.lastIndexOf(',') + 1).trim();
}

/** Knows the trusted proxies; asks once per connection. */
export class Peers {
  private readonly trusted = new BlockList();

  /** @param proxies addresses or CIDR ranges */
  constructor(proxies: readonly string[]) {
    for (const proxy of proxies) {
      const [network, bits] = proxy.split('/');
      const family = isIPv6(network!) ? 'ipv6' : 'ipv4';
      if (bits === undefined) this.trusted.addAddress(network!, family);
      else this.trusted.addSubnet(network!, Number(bits), family);
    }
  }

  of(socket: Socket & { [PEER]?: Peer }): Peer {
    let peer = socket[PEER];
    if (peer === undefined) {
      const remote = socket.remoteAddress ?? '';
      const address = remote.startsWith('::ffff:') ? remote.slice(7) : remote;
      peer = { address, trusted: address !== '' && this.trusted.check(address, isIPv6(address) ? 'ipv6' : 'ipv4') };
      socket[PEER] = peer;
    }
    return peer;
  }
}
