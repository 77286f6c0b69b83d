/**
 * Addresses of one subnet, given out in turn, so that a free address is used again as late as possible. The engine itself would use the
 * lowest free address at once, and a late connection to a removed instance would reach an instance of another function.
 */
export class AddressPool {
  private readonly taken = new Set<number>();
  private next: number;
  private readonly first: number;
  private readonly last: number;

  /** @param subnet as `172.20.0.0/16` */
  constructor(subnet: string) {
    const [base, bits] = subnet.split('/');
    const start = toNumber(base ?? '');
    const size = 2 ** (32 - Number(bits));
    // The first address is the network's, the second the gateway's, the last the broadcast address.
    this.first = start + 2;
    this.last = start + size - 2;
    this.next = this.first;
  }

  /** Undefined when all are in use. */
  take(): string | undefined {
    for (let tried = this.first; tried <= this.last; tried++) {
      const candidate = this.next;
      this.next = candidate >= this.last ? this.first : candidate + 1;
      if (this.taken.has(candidate)) continue;
      this.taken.add(candidate);
      return toText(candidate);
    }
    return undefined;
  }

  give(address: string | undefined): void {
    if (address !== undefined) this.taken.delete(toNumber(address));
  }
}

/** The gateway's address. The agent sets it, because the engine could choose an address of the pool. */
export function gatewayOf(subnet: string): string {
  return toText(toNumber(subnet.split('/')[0] ?? '') + 1);
}

function toNumber(address: string): number {
  return address.split('.').reduce((number, part) => number * 256 + Number(part), 0);
}

function toText(number: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join('.');
}
